/* SPDX-License-Identifier: MIT */
/* A path names a table and an id; what the row has to look like is in row-check.c, what may be done with it in the database. */
#include "gateway/communities/api-communities.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/store/communities-table.h"
#include "lib/base/strv.h"
#include "lib/data/digest-pin.h"
#include "lib/data/json.h"

#define LIMIT_MAX 1000
#define LIMIT 100
#define SEARCH_MAX 200
#define ETAG_SIZE 40
#define MATCH_SIZE 24

/* What a path means. */
typedef struct Target {
    RowKind kind;
    char community[UUID_SIZE];
    char id[UUID_SIZE];
} Target;

int request_uuid(Request *c, unsigned arg, char ret[static UUID_SIZE])
{
    Error err = {};
    if (uuid_parse(c->args[arg], ret) >= 0)
        return 0;
    request_fail(c,
                 error_set(&err, EINVAL, "request.bad-id",
                           "\"%s\" in the path must be a UUID like 6f1c2a52-0d7e-4b5e-9a43-0c8e2f3b7d10", c->args[arg]),
                 &err);
    error_done(&err);
    return -EINVAL;
}

void request_fail_no_community(Request *c)
{
    Error err = {};
    request_fail(c, error_set(&err, ENOENT, "community.not-found", "there is no community %s here", c->args[0]), &err);
    error_done(&err);
}

static void fail_no_row(Request *c)
{
    Error err = {};
    const char *id = c->args[2] ? c->args[2] : c->args[0];
    request_fail(c, error_set(&err, ENOENT, "row.not-found", "there is no %s in this community", id), &err);
    error_done(&err);
}

/* On failure the request is answered and negative returned. */
static int read_kind(Request *c, RowKind *ret)
{
    Error err = {};
    if (row_kind_parse(c->args[1], ret) >= 0 && *ret != ROW_COMMUNITIES)
        return 0;
    request_fail(c,
                 error_set(&err, ENOENT, "request.not-found",
                           "a community has the tables units, users, guests and bans, not \"%s\"", c->args[1]),
                 &err);
    error_done(&err);
    return -ENOENT;
}

/* The same. */
static int read_target(Request *c, Target *ret)
{
    bool of_community = str_equal(c->route->path, "/v1/communities/*");
    *ret = (Target) { .kind = ROW_COMMUNITIES };
    if (request_uuid(c, 0, ret->community) < 0)
        return -EINVAL;
    if (of_community) {
        memcpy(ret->id, ret->community, UUID_SIZE);
        return 0;
    }
    return read_kind(c, &ret->kind) < 0 || request_uuid(c, 2, ret->id) < 0 ? -EINVAL : 0;
}

/* What If-Match and If-None-Match ask for, in the words of RowChange; "" for nothing. The same. */
static int read_match(Request *c, char ret[static MATCH_SIZE])
{
    Error err = {};
    const char *if_match = http_header(c->exchange, "If-Match"), *none = http_header(c->exchange, "If-None-Match");
    size_t len = if_match ? strlen(if_match) : 0;
    uint64_t version;
    ret[0] = '\0';
    if (!if_match && !none)
        return 0;
    if (str_equal(if_match, "*")) {
        memcpy(ret, "any", sizeof("any"));
        return 0;
    }
    if (!if_match && str_equal(none, "*")) {
        memcpy(ret, "none", sizeof("none"));
        return 0;
    }
    if (len > 2 && len < MATCH_SIZE && if_match[0] == '"' && if_match[len - 1] == '"') {
        memcpy(ret, if_match + 1, len - 2);
        ret[len - 2] = '\0';
        if (str_to_u64(ret, 0, INT64_MAX, &version) >= 0)
            return 0;
    }
    request_fail(c,
                 error_set(&err, EINVAL, "request.bad-header",
                           "If-Match takes * or the ETag of an answer, If-None-Match takes *"),
                 &err);
    error_done(&err);
    return -EINVAL;
}

static void answer_row(Request *c, int status, const char *row, const char *row_version, const char *version)
{
    char etag[ETAG_SIZE];
    _cleanup_(freep) char *text = version ? str_format("{\"row\":%s,\"communityVersion\":\"%s\"}", row, version)
                                          : str_format("{\"row\":%s}", row);
    (void) snprintf(etag, sizeof(etag), "ETag: \"%s\"", row_version);
    if (text)
        request_answer_text_with(c, status, text, etag);
    else
        request_fail(c, -ENOMEM, NULL);
}

static void on_row(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) > 0)
        answer_row(c, 200, store_rows_get(rows, 0, 0), store_rows_get(rows, 0, 1), NULL);
    else
        fail_no_row(c);
}

static void show(Request *c)
{
    Target t;
    if (read_target(c, &t) >= 0)
        request_query(c, sql_row(row_kind_name(t.kind), t.id, t.community), on_row);
}

static void on_list(Request *c, const StoreRows *rows)
{
    if (c->args[0] && !store_rows_true(rows, 0, 1))
        request_fail_no_community(c);
    else
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

/* ?plate=…&unit=… into the object that rows have to contain. NULL: none. */
static int read_members(Request *c, RowKind kind, char **ret)
{
    static const char *const names[] = { "unit", "host", "role", "plate", "name", "code", "number", "document" };
    _cleanup_(cJSON_Deletep) cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(freep) char *value = row_has_text_member(kind, names[i]) ? http_query(c->exchange, names[i]) : NULL;
        if (value && json_add_string(object, names[i], value) < 0)
            return -ENOMEM;
    }
    *ret = cJSON_GetArraySize(object) > 0 ? json_print(object) : NULL;
    return object && (*ret || cJSON_GetArraySize(object) == 0) ? 0 : -ENOMEM;
}

static void list_rows(Request *c, RowKind kind, const char *community)
{
    Error err = {};
    char after_id[UUID_SIZE];
    uint64_t limit;
    _cleanup_(freep) char *after = http_query(c->exchange, "after"), *like = http_query(c->exchange, "q");
    _cleanup_(freep) char *wanted = NULL;
    if (request_query_u64(c, "limit", LIMIT_MAX, LIMIT, &limit) < 0)
        return;
    int r = after ? uuid_parse(after, after_id) : 0;
    if (r < 0)
        error_set(&err, EINVAL, "request.bad-parameter", "the parameter \"after\" must be the \"next\" of a page");
    else if (like && (strlen(like) > SEARCH_MAX || !utf8_is_valid(like, strlen(like))))
        r = error_set(&err, EINVAL, "request.bad-parameter", "the parameter \"q\" must be text of at most %d bytes",
                      SEARCH_MAX);
    else
        r = read_members(c, kind, &wanted);
    if (r < 0) {
        request_fail(c, r, &err);
        error_done(&err);
        return;
    }
    const RowFilter filter = {
        .kind = row_kind_name(kind),
        .community = community,
        .after = after ? after_id : NULL,
        .like = like,
        .members = wanted,
        .limit = limit > 0 ? limit : 1,
    };
    request_query(c, sql_rows(&filter), on_list);
}

static void list(Request *c)
{
    RowKind kind;
    char community[UUID_SIZE];
    if (request_uuid(c, 0, community) >= 0 && read_kind(c, &kind) >= 0)
        list_rows(c, kind, community);
}

static void list_communities(Request *c)
{
    list_rows(c, ROW_COMMUNITIES, NULL);
}

/* Says why nothing was changed. */
static void fail_change(Request *c, const RowChangeResult *w)
{
    static const struct {
        const char *outcome;
        int status, code;
        const char *id, *text;
    } table[] = {
        { "other-community", 409, EEXIST, "row.exists", "another community has a row with this id" },
        { "precondition", 412, EEXIST, "row.changed",
          "the row is another than If-Match or If-None-Match says: read it again" },
        { "needed", 409, EBUSY, "row.needed", "it is still needed by" },
        { "reference", 422, EBADMSG, "row.bad-reference", "it names a row that is not in this community:" },
    };
    Error err = {};
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        if (!str_equal(w->outcome, table[i].outcome))
            continue;
        error_set_at(&err, table[i].code, table[i].id, NULL, 0, str_equal(w->outcome, "reference") ? w->detail : NULL,
                     "%s%s%s", table[i].text, w->detail ? " " : "", w->detail ? w->detail : "");
        request_fail_status(c, table[i].status, -table[i].code, &err);
        error_done(&err);
        return;
    }
    if (str_equal(w->outcome, "no-community"))
        request_fail_no_community(c);
    else
        fail_no_row(c);
}

static void tell(const Request *c, const StoreRows *rows)
{
    const CommunityEvents *events = c->module;
    char community[UUID_SIZE];
    uint64_t version;
    if (events->on_changed && uuid_parse(c->args[0], community) >= 0 &&
        store_rows_u64(rows, 0, 3, INT64_MAX, &version) >= 0)
        events->on_changed(community, store_rows_get(rows, 0, 2), version, events->userdata);
}

static void on_put(Request *c, const StoreRows *rows)
{
    RowChangeResult w = row_changed(rows);
    bool created = str_equal(w.outcome, "created");
    if (!created && !str_equal(w.outcome, "changed") && !str_equal(w.outcome, "same")) {
        fail_change(c, &w);
        return;
    }
    tell(c, rows);
    answer_row(c, created ? 201 : 200, w.json, w.row_version, w.version);
}

static void on_deleted(Request *c, const StoreRows *rows)
{
    RowChangeResult w = row_changed(rows);
    if (!str_equal(w.outcome, "deleted")) {
        fail_change(c, &w);
        return;
    }
    tell(c, rows);
    _cleanup_(freep) char *text =
        str_format("{\"deleted\":\"%s\",\"communityVersion\":\"%s\"}", c->args[2] ? c->args[2] : c->args[0], w.version);
    if (text)
        request_answer_text(c, 200, text);
    else
        request_fail(c, -ENOMEM, NULL);
}

/* Takes "pin" out of a user's row. 1: there is none, and the one that the user has stays. */
static int take_pin(RowKind kind, cJSON *row, char ret_hash[static PIN_HASH_SIZE], Error *err)
{
    ret_hash[0] = '\0';
    if (kind != ROW_USERS || !cJSON_GetObjectItemCaseSensitive(row, "pin"))
        return 1;
    _cleanup_(cJSON_Deletep) cJSON *pin = cJSON_DetachItemFromObjectCaseSensitive(row, "pin");
    if (cJSON_IsNull(pin))
        return 0;
    if (!pin_is_valid(cJSON_GetStringValue(pin)))
        return error_set_at(err, EBADMSG, "row.bad-pin", NULL, 0, "pin",
                            "the member \"pin\" must be %d to %d digits, or null for none", PIN_DIGITS_MIN,
                            PIN_DIGITS_MAX);
    int r = pin_hash(pin->valuestring, ret_hash);
    return r < 0 ? error_from_errno(err, r, "hashing a PIN") : 0;
}

/* The row as it is kept: a new string. */
static int read_row(Request *c, const Target *t, char **ret, bool *ret_keep_pin, Error *err)
{
    char id[UUID_SIZE], hash[PIN_HASH_SIZE];
    int r = take_pin(t->kind, c->body, hash, err);
    *ret_keep_pin = r == 1;
    if (r >= 0)
        r = row_check(t->kind, t->community, t->id, c->body, id, err);
    if (r >= 0 && hash[0])
        r = json_add_string(c->body, "pinHash", hash);
    if (r < 0)
        return r;
    *ret = json_print(c->body);
    return *ret ? 0 : -ENOMEM;
}

static void put(Request *c)
{
    Error err = {};
    Target t;
    char match[MATCH_SIZE];
    bool keep_pin = false;
    _cleanup_(freep) char *data = NULL;
    if (read_target(c, &t) < 0 || read_match(c, match) < 0 || !request_parse_body(c))
        return;
    int r = read_row(c, &t, &data, &keep_pin, &err);
    if (r < 0) {
        request_fail(c, r, &err);
        error_done(&err);
        return;
    }
    const RowChange change = {
        .kind = row_kind_name(t.kind),
        .id = t.id,
        .community = t.community,
        .data = data,
        .match = match[0] ? match : NULL,
        .keep_pin = keep_pin,
        .actor = c->actor,
    };
    request_query(c, sql_row_change(&change), on_put);
}

static void delete_row(Request *c)
{
    Target t;
    char match[MATCH_SIZE];
    if (read_target(c, &t) < 0 || read_match(c, match) < 0)
        return;
    const RowChange change = {
        .kind = row_kind_name(t.kind),
        .id = t.id,
        .community = t.community,
        .match = match[0] ? match : NULL,
        .actor = c->actor,
    };
    request_query(c, sql_row_change(&change), on_deleted);
}

const Route community_routes[] = {
    { "GET", "/v1/communities", ACCESS_VIEWER, list_communities, "all communities" },
    { "GET", "/v1/communities/*", ACCESS_VIEWER, show, "one community" },
    { "PUT", "/v1/communities/*", ACCESS_OPERATOR, put, "add or change a community" },
    { "DELETE", "/v1/communities/*", ACCESS_ADMIN, delete_row, "delete an empty community" },
    { "GET", "/v1/communities/*/*", ACCESS_VIEWER, list, "its units, users, guests or bans" },
    { "GET", "/v1/communities/*/*/*", ACCESS_VIEWER, show, "one of them" },
    { "PUT", "/v1/communities/*/*/*", ACCESS_OPERATOR, put, "add or change one" },
    { "DELETE", "/v1/communities/*/*/*", ACCESS_OPERATOR, delete_row, "delete one" },
    {},
};

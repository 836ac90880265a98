/* SPDX-License-Identifier: MIT */
/* community …: what communities consist of, what their boxes have of it, and what they report. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/confirm.h"
#include "lib/cli/report.h"

#define PAGE 1000
#define PAGES_MAX 1000
#define ENTRIES_MAX 1000
#define STDIN_NAME "-"

/* "/v1/communities/A/B/C" of up to three parts and a suffix that is taken as it is; NULL parts end it. */
static char *community_path(const char *a, const char *b, const char *c, const char *suffix)
{
    const char *const parts[] = { a, b, c };
    char *path = strdup("/v1/communities");
    for (size_t i = 0; path && i < ELEMENTSOF(parts) && parts[i]; i++) {
        _cleanup_(freep) char *encoded = api_encode(parts[i]), *before = path;
        path = encoded ? str_format("%s/%s", before, encoded) : NULL;
    }
    _cleanup_(freep) char *before = path;
    return path ? str_format("%s%s", before, suffix) : NULL;
}

/* All pages of a list into one. */
static int all_rows(Fleet *fleet, const char *a, const char *b, cJSON **ret, ApiReply *reply, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *all = cJSON_CreateObject();
    cJSON *rows = all ? cJSON_AddArrayToObject(all, "rows") : NULL;
    _cleanup_(freep) char *after = NULL;
    int r = rows ? fleet_begin(fleet, err) : -ENOMEM;
    for (unsigned page = 0; r >= 0 && page < PAGES_MAX; page++) {
        _cleanup_(freep) char *suffix = str_format("?limit=%d%s%s", PAGE, after ? "&after=" : "", after ? after : "");
        _cleanup_(freep) char *path = suffix ? community_path(a, b, NULL, suffix) : NULL;
        r = path ? api_call(&fleet->api, "GET", path, NULL, CALL_TIMEOUT, reply, err) : -ENOMEM;
        if (r < 0)
            break;
        cJSON *list = cJSON_GetObjectItemCaseSensitive(reply->body, "rows");
        for (cJSON *row = list ? list->child : NULL; row && r >= 0; row = list->child)
            r = json_append(rows, cJSON_DetachItemViaPointer(list, row));
        free(after);
        after = report_member(reply->body, "next");
        if (!after)
            break;
    }
    if (r >= 0)
        *ret = TAKE_PTR(all);
    return r;
}

/* What a row is called, and whatever tells it from others. */
static int row_line(Table *table, const cJSON *row)
{
    static const char *const what[] = { "name", "plate", "document", "code", "number" };
    static const char *const more[] = { "role", "unit", "until", "reason", "timeZone" };
    _cleanup_(strv_freep) char **names = NULL, **others = NULL;
    _cleanup_(freep) char *id = report_member(row, "id"), *version = report_member(row, "version");
    for (size_t i = 0; i < ELEMENTSOF(what); i++)
        if (json_string(row, what[i]) && strv_add(&names, json_string(row, what[i])) < 0)
            return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(more); i++)
        if (json_string(row, more[i]) && strv_add(&others, json_string(row, more[i])) < 0)
            return -ENOMEM;
    _cleanup_(freep) char *name = names ? strv_join(names, ", ") : NULL;
    _cleanup_(freep) char *other = others ? strv_join(others, ", ") : NULL;
    return table_row(table, id, version, name, other);
}

static int show_rows(Fleet *fleet, const char *community, const char *name)
{
    static const char *const headers[] = { "ID", "VERSION", "WHO OR WHAT", "MORE", NULL };
    static const FleetList list = { .headers = headers, .row = row_line, .none = "none yet" };
    static const FleetView view = { .member = "rows", .list = &list };
    _cleanup_(cJSON_Deletep) cJSON *all = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = all_rows(fleet, community, name, &all, &reply, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : fleet_show_body(fleet, all, &view);
}

int verb_community_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    return show_rows(userdata, NULL, NULL);
}

/* What else lies below a community is no list of rows. */
static int check_table(const char *name, Error *err)
{
    static const char *const tables[] = { "units", "users", "guests", "bans", NULL };
    for (size_t i = 0; tables[i]; i++)
        if (str_equal(name, tables[i]))
            return 0;
    return error_set(err, EINVAL, "usage", "there is no table \"%.64s\": give units, users, guests or bans", name);
}

int verb_community_rows(int argc _unused_, char **argv, void *userdata)
{
    _cleanup_(error_done) Error err = {};
    int r = check_table(argv[1], &err);
    if (r < 0)
        return fleet_fail(userdata, NULL, &err, r);
    return show_rows(userdata, argv[0], argv[1]);
}

/* One request, whose answer is shown as it is. */
static int show_document(Fleet *fleet, const char *method, char *path, const cJSON *body, const char *member)
{
    _cleanup_(freep) _unused_ char *owned = path;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = fleet_ask(fleet, method, path, body, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    const cJSON *part = fleet->json ? NULL : cJSON_GetObjectItemCaseSensitive(reply.body, member);
    return report_json(part ? part : reply.body, EXIT_OK);
}

int verb_community_show(int argc, char **argv, void *userdata)
{
    if (argc == 2) {
        _cleanup_(error_done) Error err = {};
        error_set(&err, EINVAL, "usage", "give a community, or a community, a table and a row's id");
        return fleet_fail(userdata, NULL, &err, -EINVAL);
    }
    return show_document(userdata, "GET",
                         community_path(argv[0], argc > 1 ? argv[1] : NULL, argc > 1 ? argv[2] : NULL, ""), NULL,
                         "row");
}

static int read_row(const char *path, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t len;
    int r = file_read(str_equal(path, STDIN_NAME) ? "/dev/stdin" : path, JSON_SIZE_MAX, &text, &len, err);
    return r < 0 ? r : json_parse_object(text, len, ret, err);
}

/* C FILE, or C TABLE ID FILE */
int verb_community_put(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;
    _cleanup_(error_done) Error err = {};
    int r = argc == 3 ? error_set(&err, EINVAL, "usage", "give C FILE, or C TABLE ID FILE")
                      : read_row(argv[argc - 1], &row, &err);
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    bool whole = argc == 2;
    return show_document(fleet, "PUT", community_path(argv[0], whole ? NULL : argv[1], whole ? NULL : argv[2], ""), row,
                         "row");
}

int verb_community_delete(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(error_done) Error err = {};
    _cleanup_(api_reply_done) ApiReply reply = {};
    bool whole = argc == 1;
    _cleanup_(freep) char *question = whole ? str_format("delete the community %s?", argv[0])
                                            : str_format("delete %s from %s?", argv[argc - 1], argv[1]);
    int r = argc == 2 ? error_set(&err, EINVAL, "usage", "give C, or C TABLE ID") : question ? 0 : -ENOMEM;
    if (r >= 0)
        r = cli_confirm(fleet->yes, question, &err);
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    _cleanup_(freep) char *path = community_path(argv[0], whole ? NULL : argv[1], whole ? NULL : argv[2], "");
    r = fleet_ask(fleet, "DELETE", path, NULL, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json ? report_json(reply.body, EXIT_OK)
                       : report_text(str_format("%s is deleted\n", argv[argc - 1]), EXIT_OK);
}

/* The array `member` of an answer as a table of these members. */
static int show_list(Fleet *fleet, char *path, const char *member, const char *const *headers, const char *const *names)
{
    const FleetList list = { .headers = headers, .names = names, .none = "none yet" };
    return fleet_show(fleet, "GET", path, NULL, &(FleetView) { .member = member, .list = &list });
}

int verb_community_boxes(int argc _unused_, char **argv, void *userdata)
{
    static const char *const headers[] = { "BOX",     "SERVES IT",    "CONNECTED",   "VERSION",
                                           "CURRENT", "LAST CURRENT", "STALE SINCE", NULL };
    static const char *const names[] = { "device",  "serves",    "connected",  "version",
                                         "current", "currentAt", "staleSince", NULL };
    return show_list(userdata, community_path(argv[0], "boxes", NULL, ""), "boxes", headers, names);
}

int verb_community_ban_status(int argc _unused_, char **argv, void *userdata)
{
    static const char *const headers[] = { "BOX", "SERVES IT", "CONNECTED", "KNOWS IT", "SINCE", NULL };
    static const char *const names[] = { "device", "serves", "connected", "knows", "since", NULL };
    return show_list(userdata, community_path(argv[0], "bans", argv[1], "/status"), "boxes", headers, names);
}

int verb_community_events(int argc _unused_, char **argv, void *userdata)
{
    static const char *const headers[] = { "NUMBER", "AT", "BOX", "KIND", "WHAT", NULL };
    static const char *const names[] = { "seq", "at", "device", "kind", "data", NULL };
    Fleet *fleet = userdata;
    _cleanup_(error_done) Error err = {};
    uint64_t limit, after;
    int r = fleet_number(fleet->limit, "limit", 1, ENTRIES_MAX, 20, &limit, &err);
    if (r >= 0)
        r = fleet_number(fleet->after, "after", 0, INT64_MAX, 0, &after, &err);
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    _cleanup_(freep) char *suffix =
        str_format("?after=%llu&limit=%llu", (unsigned long long) after, (unsigned long long) limit);
    return show_list(fleet, suffix ? community_path(argv[0], "events", NULL, suffix) : NULL, "events", headers, names);
}

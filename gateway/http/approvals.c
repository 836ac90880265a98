/* SPDX-License-Identifier: MIT */
/* A permit is for a request as a whole, by its digest: nobody approves one thing and another is done. It is used before the
 * request is carried out: one that then fails needs another. */
#include "gateway/http/approvals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/auth/device-registry.h"
#include "gateway/store/approvals-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define ID_DIGITS 16
#define WAITING_MAX 20
/* the list of 200 has to fit into what clients read */
#define DETAIL_MAX 4096
#define SWEEP_INTERVAL USEC_PER_MINUTE

static bool is_break_glass(const cJSON *body)
{
    return json_bool(body, "breakGlass", false);
}

static const struct Held {
    const char *method, *path, *action;
    const char *box;                    /* the member of the body that names it; NULL: the path does, or nothing */
    bool (*applies)(const cJSON *body); /* NULL: always */
} held[] = {
    { "POST", "/v1/devices", "device.add", "id", NULL },
    { "POST", "/v1/devices/*/bootstrap", "device.bootstrap", NULL, NULL },
    { "POST", "/v1/enrolments", "enrolment.create", NULL, NULL },
    { "POST", "/v1/devices/*/block", "device.block", NULL, NULL },
    { "POST", "/v1/grants", "grant.break-glass", "device", is_break_glass },
    /* a label that every box has would get around a rule for those without labels */
    { "POST", "/v1/rollouts", "rollout.start", NULL, NULL },
};

static const struct Held *find_held(const Route *route, const char *body, size_t len)
{
    for (const struct Held *h = held; h < held + ELEMENTSOF(held); h++) {
        _cleanup_(cJSON_Deletep) cJSON *parsed = NULL;

        if (!str_equal(h->method, route->method) || !str_equal(h->path, route->path))
            continue;
        /* what is no JSON is refused by the handler, which reads it in the same way */
        if (h->applies && (json_parse_object(body, len, &parsed, NULL) < 0 || !h->applies(parsed)))
            return NULL;
        return h;
    }
    return NULL;
}

const char *approval_action(const Route *route, const char *body, size_t len)
{
    const struct Held *h = find_held(route, body, len);

    return h ? h->action : NULL;
}

/* A new string in *ret; NULL where the request names no box, or what can be none. */
static int find_box(const struct Held *h, const Request *c, const char *detail, char **ret)
{
    _cleanup_(cJSON_Deletep) cJSON *members = NULL;
    const char *box = c->args[0];

    if (h->box && json_parse_object(detail, strlen(detail), &members, NULL) == 0)
        box = json_string(members, h->box);
    *ret = box && device_id_is_valid(box) ? strdup(box) : NULL;
    return *ret || !box || !device_id_is_valid(box) ? 0 : -ENOMEM;
}

/* What the other person sees: the request without what is long, but for its digest; a new string. What is longer still is not
 * shown in part, or she would approve what she has not seen: approval.too-long. */
static int describe(const char *body, size_t len, char **ret, Error *err)
{
    static const char *const long_members[] = { "compose", "order" };
    _cleanup_(cJSON_Deletep) cJSON *detail = NULL;

    if (json_parse_object(body, len, &detail, NULL) < 0 && !(detail = cJSON_CreateObject()))
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(long_members); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(detail, long_members[i]);
        _cleanup_(freep) char *text = !item ? NULL : item->valuestring ? strdup(item->valuestring) : json_print(item);
        char hex[SHA256_HEX_SIZE];

        if (!item)
            continue;
        if (!text || sha256_hex(text, strlen(text), hex) < 0)
            return -ENOMEM;
        _cleanup_(freep) char *digest = str_format("sha256:%s", hex);
        cJSON_DeleteItemFromObjectCaseSensitive(detail, long_members[i]);
        if (!digest || json_add_string(detail, long_members[i], digest) < 0)
            return -ENOMEM;
    }
    _cleanup_(freep) char *text = json_print(detail);
    if (!text)
        return -ENOMEM;
    if (strlen(text) > DETAIL_MAX)
        return error_set(err, EMSGSIZE, "approval.too-long",
                         "what another person has to approve may have %d bytes, compose file and signatures aside",
                         DETAIL_MAX);
    *ret = TAKE_PTR(text);
    return 0;
}

static int digest_request(const Request *c, const char *body, size_t len, char ret[static SHA256_HEX_SIZE])
{
    char hex[SHA256_HEX_SIZE];
    int r = sha256_hex(body, len, hex);
    _cleanup_(freep) char *text =
        r >= 0 ? str_format("%s %s\n%s", http_method(c->exchange), http_path(c->exchange), hex) : NULL;

    return text ? sha256_hex(text, strlen(text), ret) : -ENOMEM;
}

/* {"error", "approval"}; `document` is the second as the database has it. */
static void answer_waits(Request *c, const char *document)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;

    if (json_parse_object(document, strlen(document), &body, NULL) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    const cJSON *approval = cJSON_GetObjectItemCaseSensitive(body, "approval");
    const char *id = json_string(approval, "id"), *by = json_string(approval, "decidedBy");

    if (str_equal(json_string(approval, "state"),
                  "approved")) { /* as it was; the same request, sent twice, was faster */
        request_fail(c,
                     error_set(&err, EBUSY, "approval.over",
                               "the same request has used %s at this moment: to have it done twice, ask once more", id),
                     &err);
        return;
    }
    int r =
        str_equal(json_string(approval, "state"), "refused")
            ? error_set(&err, EACCES, "approval.refused", "%s has refused this: it is %s", by ? by : "another person",
                        id)
            : error_set(&err, EACCES, "approval.needed",
                        "this waits for another person: who also has a token for this types `secbox-fleet approvals "
                        "approve %s` within an hour; then do the same once more",
                        id);
    if (json_add_item(body, "error", json_from_error(&err, r)) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 403, TAKE_PTR(body));
}

static void on_taken(Request *c, const StoreRows *rows)
{
    Error err = {};
    const char *document = store_rows_get(rows, 0, 1);

    if (store_rows_true(rows, 0, 0)) {
        c->route->handler(c);
    } else if (document) {
        answer_waits(c, document);
    } else {
        error_set(&err, EBUSY, "approval.too-many",
                  "%d requests of yours wait for another person already: have some of them decided", WAITING_MAX);
        request_fail(c, -EBUSY, &err);
        error_done(&err);
    }
}

bool approvals_hold(Request *c, void *approvals)
{
    const Approvals *a = approvals;
    size_t len = 0;
    const char *body = http_body(c->exchange, &len);
    const struct Held *h = a->wanted ? find_held(c->route, body, len) : NULL;
    char random[RANDOM_ID_SIZE], id[sizeof("a-") + ID_DIGITS], sha256[SHA256_HEX_SIZE];

    if (!h)
        return false;
    _cleanup_(freep) char *detail = NULL, *box = NULL;
    _cleanup_(error_done) Error err = {};
    int r = describe(body, len, &detail, &err);
    if (r >= 0)
        r = find_box(h, c, detail, &box);
    if (r >= 0 && (random_id(random) < 0 || digest_request(c, body, len, sha256) < 0))
        r = -ENOMEM;
    if (r < 0) {
        request_fail(c, r, &err);
        return true;
    }
    (void) snprintf(id, sizeof(id), "a-%.*s", ID_DIGITS, random);
    request_query(c,
                  sql_approval_take(&(ApprovalAsk) { .id = id,
                                                     .person = request_person(c),
                                                     .actor = c->actor,
                                                     .action = h->action,
                                                     .device = box,
                                                     .sha256 = sha256,
                                                     .detail = detail,
                                                     .seconds = APPROVAL_SECONDS,
                                                     .waiting_max = WAITING_MAX }),
                  on_taken);
    return true;
}

void approvals_sweep(Approvals *a)
{
    usec_t now = boottime_usec();

    if ((a->swept > 0 && now - a->swept < SWEEP_INTERVAL) || store_is_busy(a->store))
        return;
    if (store_query(a->store, sql_approvals_expire(), NULL, NULL, NULL, NULL) >= 0)
        a->swept = now;
}

/* Whose a request's operator sees: one that is bound to labels those of its own, since the boxes of others are none of its
 * business. */
static const char *whose(const Request *c)
{
    return c->labels ? request_person(c) : NULL;
}

static void on_document(Request *c, const StoreRows *rows)
{
    Error err = {};

    if (store_rows_count(rows) > 0) {
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
        return;
    }
    request_fail(c, error_set(&err, ENOENT, "approval.not-found", "there is no approval \"%s\" here", c->args[0]),
                 &err);
    error_done(&err);
}

static void list(Request *c)
{
    request_query(c, sql_approvals(whose(c)), on_document);
}

static void show(Request *c)
{
    request_query(c, sql_approval(c->args[0], whose(c)), on_document);
}

static void on_decided(Request *c, const StoreRows *rows)
{
    Error err = {};

    if (store_rows_count(rows) == 0 || store_rows_true(rows, 0, 1)) {
        on_document(c, rows);
        return;
    }
    if (strcasecmp(store_rows_get(rows, 0, 2), request_person(c)) == 0)
        request_fail(c,
                     error_set(&err, EACCES, "approval.own",
                               "you have asked for this yourself: another person has to look at it"),
                     &err);
    else
        request_fail(c,
                     error_set(&err, EBUSY, "approval.over",
                               "%s is decided already, or its hour is over: see `secbox-fleet approvals list`",
                               c->args[0]),
                     &err);
    error_done(&err);
}

static void approve(Request *c)
{
    request_query(c, sql_approval_decide(c->args[0], request_person(c), c->actor, "approved"), on_decided);
}

static void refuse(Request *c)
{
    request_query(c, sql_approval_decide(c->args[0], request_person(c), c->actor, "refused"), on_decided);
}

const Route approval_routes[] = {
    { "GET", "/v1/approvals", ACCESS_VIEWER, list, "what waits for a second person, and what became of it" },
    { "GET", "/v1/approvals/*", ACCESS_VIEWER, show, "one of them" },
    { "POST", "/v1/approvals/*/approve", ACCESS_OPERATOR, approve, "let another person do that" },
    { "POST", "/v1/approvals/*/refuse", ACCESS_OPERATOR, refuse, "do not" },
    {},
};

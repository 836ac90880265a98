/* SPDX-License-Identifier: MIT */
#include "gateway/devices/api-enrolments.h"

#include <errno.h>
#include <string.h>

#include "env/claim-document.h"
#include "gateway/store/enrolments-table.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"

#define BOXES_MAX 10000
#define HOURS_MAX 8784 /* a year */
#define HOURS_DEFAULT 24
#define NOTE_MAX 256
#define ID_DIGITS 12

/* Every row is one JSON object in its first column. */
static int add_objects(cJSON *list, const StoreRows *rows)
{
    int r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < store_rows_count(rows); i++) {
        cJSON *o = NULL;
        const char *text = store_rows_get(rows, i, 0);
        r = text ? json_parse_object(text, strlen(text), &o, NULL) : -EBADMSG;
        if (r >= 0)
            r = json_append(list, o);
    }
    return r;
}

static void answer_list(Request *c, const StoreRows *rows, const char *name)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    int r = add_objects(body ? cJSON_AddArrayToObject(body, name) : NULL, rows);
    if (r < 0)
        request_fail(c, r, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static void on_enrolments(Request *c, const StoreRows *rows)
{
    answer_list(c, rows, "enrolments");
}

static void list(Request *c)
{
    request_query(c, sql_enrolments(), on_enrolments);
}

static void on_pending(Request *c, const StoreRows *rows)
{
    answer_list(c, rows, "pending");
}

static void list_pending(Request *c)
{
    request_query(c, sql_pending(), on_pending);
}

static cJSON *enrolment_body(const StoreRows *rows)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    const char *text = store_rows_get(rows, 0, 0);
    cJSON *o = NULL;
    if (!body || !text || json_parse_object(text, strlen(text), &o, NULL) < 0 ||
        json_add_item(body, "enrolment", o) < 0)
        return NULL;
    return TAKE_PTR(body);
}

static void on_created(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    const NewSecret *secret = c->scratch;
    _cleanup_(cJSON_Deletep) cJSON *body = enrolment_body(rows);
    if (!body || json_add_string(body, "token", secret->secret) < 0 || json_add_string(body, "cloud", api->issuer) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 201, TAKE_PTR(body));
}

static int read_number(const cJSON *body, const char *name, unsigned max, unsigned *ret, Error *err)
{
    uint64_t value = 0;
    if (!cJSON_GetObjectItemCaseSensitive(body, name))
        return 0;
    if (json_u64(body, name, &value) < 0 || value < 1 || value > max)
        return error_set_at(err, EINVAL, "enrolment.malformed", NULL, 0, name, "%s must be a number from 1 to %u", name,
                            max);
    *ret = (unsigned) value;
    return 0;
}

static int read_new(const cJSON *body, NewEnrolment *e, Error *err)
{
    const cJSON *note = cJSON_GetObjectItemCaseSensitive(body, "note");
    const cJSON *approve = cJSON_GetObjectItemCaseSensitive(body, "autoApprove");
    int r = read_number(body, "boxes", BOXES_MAX, &e->boxes, err);
    if (r >= 0)
        r = read_number(body, "hours", HOURS_MAX, &e->hours, err);
    if (r < 0)
        return r;
    e->note = json_string(body, "note");
    if (note && (!e->note || strlen(e->note) > NOTE_MAX || !text_is_plain(e->note)))
        return error_set_at(err, EINVAL, "enrolment.malformed", NULL, 0, "note",
                            "note must be a text of at most %d bytes without control characters", NOTE_MAX);
    if (approve && !cJSON_IsBool(approve))
        return error_set_at(err, EINVAL, "enrolment.malformed", NULL, 0, "autoApprove",
                            "autoApprove must be true or false");
    e->approve = cJSON_IsTrue(approve);
    return 0;
}

static void create(Request *c)
{
    Error err = {};
    char id[RANDOM_ID_SIZE];
    _cleanup_(freep) char *labels = NULL;
    NewEnrolment e = { .actor = c->actor, .boxes = 1, .hours = HOURS_DEFAULT };
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = read_new(body, &e, &err);
    if (r >= 0)
        r = device_labels_read(body, &labels, &err);
    if (r >= 0)
        r = random_id(id);
    if (r >= 0)
        r = request_make_secret(c, CLAIM_ENROLMENT_PREFIX);
    if (r < 0) {
        request_fail(c, r, &err);
        error_done(&err);
        return;
    }
    id[ID_DIGITS] = '\0';
    e.id = id;
    e.labels = labels;
    e.hash = ((const NewSecret *) c->scratch)->hash;
    request_query(c, sql_enrolment_add(&e), on_created);
}

static void fail_no_token(Request *c)
{
    Error err = {};
    error_set(&err, ENOENT, "enrolment.not-found", "there is no enrolment token \"%s\" here that is not revoked",
              c->args[0]);
    request_fail(c, -ENOENT, &err);
    error_done(&err);
}

static void on_revoked(Request *c, const StoreRows *rows)
{
    cJSON *body = enrolment_body(rows);
    if (store_rows_count(rows) == 0)
        fail_no_token(c);
    else if (body)
        request_answer(c, 200, body);
    else
        request_fail(c, -ENOMEM, NULL);
}

static void revoke_token(Request *c)
{
    request_query(c, sql_enrolment_revoke(c->args[0], c->actor), on_revoked);
}

static void fail_not_pending(Request *c)
{
    Error err = {};
    error_set(&err, ENOENT, "device.not-pending",
              "no box waits to be let in as \"%s\", or another one is registered under this name", c->args[0]);
    request_fail(c, -ENOENT, &err);
    error_done(&err);
}

static void on_approved(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    if (store_rows_count(rows) == 0) {
        fail_not_pending(c);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    if (!body || device_registry_put_device(api->registry, c->args[0], false) < 0 ||
        json_add_item(body, "device", device_json(api, rows, 0)) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer(c, 201, body);
}

static void approve(Request *c)
{
    const DevicesApi *api = c->module;
    request_query(c, sql_pending_approve(c->args[0], api->bootstrap_hours, c->actor), on_approved);
}

static void on_denied(Request *c, const StoreRows *rows)
{
    cJSON *body = cJSON_CreateObject();
    if (store_rows_count(rows) == 0)
        fail_not_pending(c);
    else if (!body || json_add_string(body, "denied", c->args[0]) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
    cJSON_Delete(body);
}

static void deny(Request *c)
{
    request_query(c, sql_pending_deny(c->args[0], c->actor), on_denied);
}

const Route enrolment_routes[] = {
    { "GET", "/v1/enrolments", ACCESS_VIEWER, list, "enrolment tokens" },
    { "POST", "/v1/enrolments", ACCESS_OPERATOR, create, "make one" },
    { "POST", "/v1/enrolments/*/revoke", ACCESS_OPERATOR, revoke_token, "let nobody in by it any more" },
    { "GET", "/v1/pending-devices", ACCESS_VIEWER, list_pending, "boxes that wait to be let in" },
    { "POST", "/v1/pending-devices/*/approve", ACCESS_OPERATOR, approve, "let one in" },
    { "POST", "/v1/pending-devices/*/deny", ACCESS_OPERATOR, deny, "refuse one" },
    {},
};

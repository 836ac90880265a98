/* SPDX-License-Identifier: MIT */
/* Three steps: the guest and the key (made now, where there is none yet), the audit entry, the answer. Whoever has the text of a
 * pass can come in with it, so it is in the answer alone: not in the database, the audit log or a log line. */
#include "gateway/communities/api-passes.h"

#include <errno.h>
#include <string.h>

#include "gateway/communities/api-communities.h"
#include "gateway/communities/community-key.h"
#include "gateway/store/passes-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/pass.h"

/* What is known of the pass between two statements. */
typedef struct PassDraft {
    Pass pass;
    char *text; /* secret */
} PassDraft;

static void pass_draft_free(void *draft)
{
    PassDraft *d = draft;

    secret_free(d->text);
    free(d);
}

static cJSON *draft_to_json(const PassDraft *d)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    char time[TIMESTAMP_SIZE];

    if (!o || json_add_string(o, "id", d->pass.id) < 0 || json_add_string(o, "community", d->pass.community) < 0 ||
        json_add_string(o, "guest", d->pass.guest) < 0 ||
        json_add_string(o, "from", timestamp_format(d->pass.from * USEC_PER_SEC, time)) < 0 ||
        json_add_string(o, "until", timestamp_format(d->pass.until * USEC_PER_SEC, time)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static void on_audited(Request *c, const StoreRows *rows _unused_)
{
    const PassDraft *d = c->scratch;
    _cleanup_(cJSON_Deletep) cJSON *pass = draft_to_json(d), *body = cJSON_CreateObject();

    if (!pass || !body || json_add_string(pass, "text", d->text) < 0 || json_add_item(body, "pass", TAKE_PTR(pass)) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 201, TAKE_PTR(body));
}

static void sign(Request *c, const char *pem)
{
    PassDraft *d = c->scratch;
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(error_done) Error err = {};
    int r = key_from_text(pem, strlen(pem), &key, &err);

    if (r >= 0)
        r = pass_sign(key, &d->pass, &d->text, &err);
    _cleanup_(cJSON_Deletep) cJSON *detail = r >= 0 ? draft_to_json(d) : NULL;
    _cleanup_(freep) char *text = detail ? json_print(detail) : NULL;
    if (text)
        request_query(c, sql_pass_issued(c->actor, text), on_audited);
    else
        request_fail(c, r < 0 ? r : -ENOMEM, &err);
}

static void on_kept(Request *c, const StoreRows *rows)
{
    const PassDraft *d = c->scratch;
    const char *pem = community_key_kept(c, d->pass.community, rows);

    if (pem)
        sign(c, pem);
}

static int take_times(const StoreRows *rows, Pass *pass)
{
    usec_t from = 0, until = 0;
    int a = rfc3339_parse(store_rows_get(rows, 0, 0), &from), b = rfc3339_parse(store_rows_get(rows, 0, 1), &until);

    pass->from = from / USEC_PER_SEC;
    pass->until = until / USEC_PER_SEC;
    return a < 0 || b < 0 || pass->until <= pass->from || until <= realtime_usec() ? -EINVAL : 0;
}

static void on_guest(Request *c, const StoreRows *rows)
{
    PassDraft *d = c->scratch;
    _cleanup_(error_done) Error err = {};

    if (store_rows_count(rows) == 0) {
        error_set(&err, ENOENT, "row.not-found", "there is no guest %s in this community", c->args[1]);
        request_fail(c, -ENOENT, &err);
    } else if (take_times(rows, &d->pass) < 0) {
        error_set(&err, EINVAL, "pass.over", "the time of the guest %s is over: change its \"until\" first",
                  c->args[1]);
        request_fail_status(c, 409, -EINVAL, &err);
    } else if (store_rows_get(rows, 0, 2) && store_rows_true(rows, 0, 3)) {
        sign(c, store_rows_get(rows, 0, 2));
    } else {
        community_key_make(c, d->pass.community, on_kept);
    }
}

static void issue(Request *c)
{
    PassDraft *d = calloc(1, sizeof(*d));

    c->scratch = d;
    c->scratch_free = d ? pass_draft_free : NULL;
    if (!d)
        request_fail(c, -ENOMEM, NULL);
    else if (request_uuid(c, 0, d->pass.community) >= 0 && request_uuid(c, 1, d->pass.guest) >= 0)
        request_query(c, sql_pass_guest(d->pass.community, d->pass.guest), on_guest);
}

const Route pass_routes[] = {
    { "POST", "/v1/communities/*/guests/*/pass", ACCESS_OPERATOR, issue, "a guest's pass for the gate" },
    {},
};

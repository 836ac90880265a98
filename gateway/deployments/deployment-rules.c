/* SPDX-License-Identifier: MIT */
/* See deployment-rules.h. */
#include "gateway/deployments/deployment-rules.h"

#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

/* on top of its confirm deadline */
#define SILENCE_MAX (30 * USEC_PER_MINUTE)
/* Of the agents' packages, which say a word at each step: fetching one or installing one, behind other users of dpkg, may take two
 * hours by the limits of the box's own script. Of a release, which mgmt-link fetches for as long before anybody says a word. */
#define PACKAGE_SILENCE_MAX (150 * USEC_PER_MINUTE)

bool deployment_is_named(const Deployment *d, const cJSON *object)
{
    return d->version > 0 && str_equal(json_string(object, "id"), d->id);
}

StatusVerdict deployment_read_status(const Deployment *d, uint64_t connection, const cJSON *status)
{
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(status, "last");
    if (d->version == 0 || d->result)
        return STATUS_NOTHING;
    if (deployment_is_named(d, cJSON_GetObjectItemCaseSensitive(status, "pending")))
        return STATUS_PENDING;
    if (deployment_is_named(d, last) && json_string(last, "outcome"))
        return STATUS_ENDED;
    return d->progressed || connection == d->barred_connection ? STATUS_NOTHING : STATUS_NEVER_ARRIVED;
}

ConfirmVerdict deployment_judge_pending(const Deployment *d, uint64_t connection, const cJSON *pending)
{
    const char *nonce = json_string(pending, "nonce");
    if (!str_equal(json_string(pending, "phase"), "confirm"))
        return CONFIRM_NOT_ASKED;
    if (connection == d->barred_connection)
        return CONFIRM_OLD_CONNECTION;
    return nonce && secret_equal(nonce, d->nonce) ? CONFIRM_NOW : CONFIRM_WRONG_NONCE;
}

RetryVerdict deployment_judge_retry(const Deployment *d, usec_t now, bool sending)
{
    if (d->rollout)
        return sending ? RETRY_NOW : RETRY_END;
    return now - d->created_at < d->confirm_deadline * USEC_PER_SEC ? RETRY_NOW : RETRY_NOT;
}

bool deployment_is_silent(const Deployment *d, usec_t now)
{
    usec_t silence_max =
        d->kind == DEPLOYMENT_AGENT || d->kind == DEPLOYMENT_RELEASE ? PACKAGE_SILENCE_MAX : SILENCE_MAX;

    return now - d->last_word > d->confirm_deadline * USEC_PER_SEC + silence_max;
}

const char *deployment_end_state(const cJSON *result)
{
    static const char *const known[] = { "done", "failed", "rolled-back", "recovery", "unknown" };
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(json_string(result, "outcome"), known[i]))
            return known[i];
    return "failed";
}

unsigned deployment_end_status(const cJSON *result)
{
    uint64_t number = 0;
    /* HTTP-like; anything else would break the operator's answer */
    return json_u64(result, "status", &number) < 0 || number < 200 || number > 599 ? 500 : (unsigned) number;
}

cJSON *deployment_event(const cJSON *message, uint64_t seq)
{
    static const char *const left_out[] = { "type", "id", "version", "seq" };
    _cleanup_(cJSON_Deletep) cJSON *e = cJSON_Duplicate(message, true);
    for (size_t i = 0; e && i < ELEMENTSOF(left_out); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(e, left_out[i]);
    return e && json_add_int(e, "seq", (int) seq) >= 0 ? TAKE_PTR(e) : NULL;
}

cJSON *deployment_local_detail(const cJSON *result)
{
    static const char *const members[] = {
        "id",          "version", "kind",    "outcome", "status",  "phase", "noop",
        "failedPhase", "updates", "package", "release", "seconds", "at",    "project"
    };
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(result, "error");
    _cleanup_(cJSON_Deletep) cJSON *detail = cJSON_CreateObject();
    cJSON *why;

    for (size_t i = 0; detail && i < ELEMENTSOF(members); i++) {
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(result, members[i]);
        if (member && json_add_item(detail, members[i], cJSON_Duplicate(member, true)) < 0)
            return NULL;
    }
    if (!detail || !cJSON_IsObject(error))
        return TAKE_PTR(detail);
    why = cJSON_AddObjectToObject(detail, "error");
    return why && json_add_string(why, "id", json_string(error, "id")) == 0 &&
                   json_add_string(why, "message", json_string(error, "message")) == 0
               ? TAKE_PTR(detail)
               : NULL;
}

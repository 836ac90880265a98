/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/way-back.h"

#include "lib/base/strv.h"

/* A push or a rollback; whatever else there is changes no snapshot. */
static bool is_of_snapshot(const cJSON *result)
{
    const char *kind = json_string(result, "kind");

    return json_string(result, "sha256") && (!kind || str_equal(kind, KIND_ROLLBACK));
}

static bool is_rollback(const cJSON *result)
{
    return str_equal(json_string(result, "kind"), KIND_ROLLBACK);
}

static bool is_done(const cJSON *result)
{
    return str_equal(json_string(result, "outcome"), "done");
}

/* A cloud that did not confirm in time says nothing about the snapshot. */
static bool is_its_fault(const cJSON *result)
{
    return str_equal(json_string(result, "outcome"), "rolled-back") &&
           !str_equal(json_string(result, "failedPhase"), "confirm");
}

const cJSON *way_back_verdict(const cJSON *history, const char *version, const char *sha256)
{
    const cJSON *bad = NULL;
    const char *runs = NULL; /* the text that runs as of the entry looked at */
    bool ran = false;

    for (int i = cJSON_GetArraySize(history) - 1; i >= 0; i--) {
        const cJSON *result = cJSON_GetArrayItem(history, i);
        bool same_text = str_equal(json_string(result, "sha256"), sha256);

        if (!is_of_snapshot(result))
            continue;
        if (is_done(result)) {
            if (same_text) {
                bad = NULL;
                ran = true;
            } else if (is_rollback(result) && str_equal(runs, sha256)) {
                bad = result;
            }
            runs = json_string(result, "sha256");
        } else if (is_its_fault(result) &&
                   /* a text that has run is not bad because it failed once, with other variables or images */
                   (str_equal(json_string(result, "version"), version) || (same_text && !ran))) {
            bad = result;
        }
    }
    return bad;
}

/* Where `here` was applied last, other than by going back to it: what is behind that came before it. */
static int applied_at(const cJSON *history, const char *here)
{
    for (int i = 0; i < cJSON_GetArraySize(history); i++) {
        const cJSON *result = cJSON_GetArrayItem(history, i);

        if (is_of_snapshot(result) && is_done(result) && !is_rollback(result) &&
            str_equal(json_string(result, "sha256"), here))
            return i;
    }
    return -1;
}

const char *way_back_find(const cJSON *history, const char *here, const char *leaving, char *const *kept)
{
    for (int i = applied_at(history, here) + 1; i < cJSON_GetArraySize(history); i++) {
        const cJSON *result = cJSON_GetArrayItem(history, i);
        const char *version = json_string(result, "version"), *text = json_string(result, "sha256");

        if (is_of_snapshot(result) && is_done(result) && !str_equal(text, here) && !str_equal(text, leaving) &&
            version && strv_contains(kept, version) && !way_back_verdict(history, version, text))
            return version;
    }
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* Labels themselves are not changed by such a token: by them a box belongs to its community and to rollouts of others. */
#include "gateway/http/label-scope.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

static const struct {
    const char *route;
    LabelScope scope;
} table[] = {
    { "GET /v1/devices", SCOPE_LISTED },
    { "GET /v1/devices/*", SCOPE_DEVICE },
    { "DELETE /v1/devices/*", SCOPE_DEVICE },
    { "POST /v1/devices/*/bootstrap", SCOPE_DEVICE },
    { "DELETE /v1/devices/*/keys/*", SCOPE_DEVICE },
    { "POST /v1/devices/*/block", SCOPE_DEVICE },
    { "POST /v1/devices/*/unblock", SCOPE_DEVICE },
    { "GET /v1/devices/*/status", SCOPE_DEVICE },
    { "POST /v1/devices/*/doctor", SCOPE_DEVICE },
    { "POST /v1/devices/*/plan", SCOPE_DEVICE },
    { "POST /v1/devices/*/project", SCOPE_DEVICE },
    { "POST /v1/devices/*/projects/*", SCOPE_DEVICE },
    { "GET /v1/devices/*/health", SCOPE_DEVICE },
    { "GET /v1/devices/*/certificate", SCOPE_DEVICE },
    { "POST /v1/devices/*/certificate/request", SCOPE_DEVICE },
    { "PUT /v1/devices/*/certificate", SCOPE_DEVICE },
    { "DELETE /v1/devices/*/certificate", SCOPE_DEVICE },
    { "POST /v1/devices/*/compose-snapshot", SCOPE_DEVICE },
    { "POST /v1/devices/*/rollback", SCOPE_DEVICE },
    { "POST /v1/devices/*/agent-update", SCOPE_DEVICE },
    { "POST /v1/devices/*/release", SCOPE_DEVICE },
    { "GET /v1/devices/*/deployments", SCOPE_DEVICE },
    { "GET /v1/devices/*/deployments/*", SCOPE_DEVICE },
    { "DELETE /v1/devices/*/waiting", SCOPE_DEVICE },
    { "GET /v1/devices/*/cameras", SCOPE_DEVICE },
    { "GET /v1/devices/*/cameras/*/frame.jpg", SCOPE_DEVICE },
    { "GET /v1/devices/*/cameras/*/stream.mjpeg", SCOPE_DEVICE },
    { "POST /v1/devices/*/cameras/*/tickets", SCOPE_DEVICE },
    { "POST /v1/devices/*/recordings", SCOPE_DEVICE },
    { "POST /v1/devices/*/recordings/revoke", SCOPE_DEVICE },
    { "GET /v1/devices/*/recordings/*/events/*", SCOPE_DEVICE },
    { "GET /v1/devices/*/recordings/*/*/*", SCOPE_DEVICE },
    { "GET /v1/devices/*/bridge", SCOPE_DEVICE },
    { "PUT /v1/bundles/*", SCOPE_FREE },
    { "POST /v1/bundles/*/keys", SCOPE_LISTED },
    { "GET /v1/support-ca", SCOPE_FREE },
    { "POST /v1/grants", SCOPE_LISTED },
    { "GET /v1/grants", SCOPE_LISTED },
    { "GET /v1/grants/*", SCOPE_GRANT },
    { "POST /v1/grants/*/revoke", SCOPE_GRANT },
    { "POST /v1/grants/*/certificate", SCOPE_GRANT },
    { "GET /v1/sessions", SCOPE_LISTED },
    { "POST /v1/rollouts", SCOPE_LISTED },
    { "GET /v1/rollouts", SCOPE_LISTED },
    { "GET /v1/rollouts/*", SCOPE_ROLLOUT },
    { "POST /v1/rollouts/*/pause", SCOPE_ROLLOUT },
    { "POST /v1/rollouts/*/resume", SCOPE_ROLLOUT },
    { "POST /v1/rollouts/*/abort", SCOPE_ROLLOUT },
    { "GET /v1/audit", SCOPE_LISTED },
    { "GET /v1/approvals", SCOPE_LISTED },
    { "GET /v1/approvals/*", SCOPE_LISTED },
};

LabelScope label_scope(const char *method, const char *path)
{
    size_t len = strlen(method);

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (strncmp(table[i].route, method, len) == 0 && table[i].route[len] == ' ' &&
            str_equal(table[i].route + len + 1, path))
            return table[i].scope;
    return SCOPE_FLEET;
}

const char *label_scope_to_string(LabelScope scope)
{
    static const char *const names[] = {
        [SCOPE_FLEET] = "fleet",     [SCOPE_DEVICE] = "device", [SCOPE_GRANT] = "grant",
        [SCOPE_ROLLOUT] = "rollout", [SCOPE_LISTED] = "listed", [SCOPE_FREE] = "free",
    };

    return names[scope];
}

const char *label_scope_listed(size_t i)
{
    return i < ELEMENTSOF(table) ? table[i].route : NULL;
}

/* "site=north floor=2" for people: a new string, or NULL. */
static char *describe(const char *bound)
{
    _cleanup_(cJSON_Deletep) cJSON *labels = NULL;

    return !bound || json_parse_object(bound, strlen(bound), &labels, NULL) < 0 ? NULL : json_pairs(labels, " ");
}

int label_scope_refuse(const Request *c, const char *person, LabelScope scope, const char *device, Error *err)
{
    _cleanup_(freep) char *labels = describe(c->labels);

    if (!labels)
        return error_from_errno(err, -ENOMEM, "looking at the labels of a token");
    if (scope == SCOPE_FLEET)
        return error_set(
            err, EACCES, "auth.labels",
            "the token of %s is for the boxes with %s alone, and this is about more than those: it needs a "
            "token without labels, which `secbox-gateway tokens add NAME` makes on the gateway's machine",
            person, labels);
    if (device)
        return error_set(err, EACCES, "auth.labels",
                         "the token of %s is for the boxes with %s alone, and %s is none of them", person, labels,
                         device);
    return error_set(
        err, EACCES, "auth.labels",
        "the token of %s is for the boxes with %s alone, and there is no such %s that is about those alone", person,
        labels, label_scope_to_string(scope));
}

int label_scope_narrow(const char *bound, cJSON *labels, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *own = NULL;
    const cJSON *label;

    if (!bound)
        return 0;
    int r = json_parse_object(bound, strlen(bound), &own, NULL);
    if (r < 0)
        return r;
    cJSON_ArrayForEach(label, own) {
        const cJSON *asked = cJSON_GetObjectItemCaseSensitive(labels, label->string);
        if (asked && !str_equal(cJSON_GetStringValue(asked), cJSON_GetStringValue(label)))
            return error_set_at(err, EACCES, "auth.labels", NULL, 0, label->string,
                                "your token is for the boxes with %s=%s alone", label->string,
                                cJSON_GetStringValue(label));
        if (!asked && json_add_string(labels, label->string, cJSON_GetStringValue(label)) < 0)
            return -ENOMEM;
    }
    return 0;
}

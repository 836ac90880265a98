/* SPDX-License-Identifier: MIT */
#include "gateway/deployments/change-request.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/data/agent-update.h"
#include "lib/data/release-manifest.h"

#define VERSION_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
#define VERSION_SIZE_MAX 46

static int check_reason(const char *reason, Error *err)
{
    if (strlen(reason) > CHANGE_REASON_MAX)
        return error_set(err, EINVAL, "request.bad-reason", "the reason may have at most %d bytes", CHANGE_REASON_MAX);
    if (!text_is_plain(reason))
        return error_set(err, EINVAL, "request.bad-reason",
                         "the reason must be one line without control characters and invisible ones");
    return 0;
}

int change_request_read(const cJSON *body, DeploymentRequest *ret, Error *err)
{
    uint64_t deadline = CONFIRM_SECONDS_DEFAULT;

    if (json_u64(body, "confirmDeadlineSeconds", &deadline) == -EINVAL || deadline < CONFIRM_SECONDS_MIN ||
        deadline > CONFIRM_SECONDS_MAX)
        return error_set(err, EINVAL, "request.bad-deadline", "confirmDeadlineSeconds must be from %d to %d",
                         CONFIRM_SECONDS_MIN, CONFIRM_SECONDS_MAX);
    ret->confirm_deadline = (unsigned) deadline;
    ret->reason = json_string(body, "reason");
    return ret->reason ? check_reason(ret->reason, err) : 0;
}

int change_request_read_package(const cJSON *body, const char **ret, Error *err)
{
    *ret = json_string(body, "to");
    return agent_update_is_version(*ret) ? 0
                                         : error_set(err, EINVAL, "agent-update.bad-version",
                                                     "\"to\" must be the version of a package, like 1.2.0 or 1.2.0-1");
}

int change_request_read_release(const cJSON *body, const char **ret, Error *err)
{
    *ret = json_string(body, "to");
    return release_version_is_valid(*ret)
               ? 0
               : error_set(err, EINVAL, "release.bad-version", "\"to\" must be the version of a release, like 1.2.0");
}

/* The box knows which versions there are; what no version looks like does not get there. */
int change_request_read_target(const cJSON *body, const char **ret, Error *err)
{
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(body, "to");
    const char *version = json_string(body, "to");
    size_t len = version ? strspn(version, VERSION_CHARACTERS) : 0;

    if (to && (!version || len == 0 || len > VERSION_SIZE_MAX || version[len]))
        return error_set(err, EINVAL, "snapshot.bad-version",
                         "\"to\" is a version as in the box's history: 7, local-1764400000000");
    *ret = version;
    return 0;
}

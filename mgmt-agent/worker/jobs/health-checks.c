/* SPDX-License-Identifier: MIT */
/* Has podman run the health checks of containers, as its own timers would; it writes down what came of them. */

#include "lib/base/log.h"
#include "mgmt-agent/worker/jobs/jobs.h"

/* podman waits for a check to end, whatever its timeout says */
#define CHECK_MAX_USEC (2 * USEC_PER_MINUTE)

int job_check_health(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *id;
    int r = box_open_again(&d->box, d->options->podman_compose, &err);

    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(request, "containers")) {
        if (r < 0 || !cJSON_IsString(id))
            break;
        _cleanup_(error_done) Error reason = {};
        int k = podman_healthcheck(d->box.podman, id->valuestring, CHECK_MAX_USEC, &reason);

        if (k < 0)
            log_failure(LOG_LEVEL_DEBUG, NULL, &reason, k, "A health check could not be run");
    }
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot have health checks run");
    return r < 0;
}

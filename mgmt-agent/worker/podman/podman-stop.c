/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/podman/podman-call.h"

#define CALL_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define STOPS_AT_A_TIME 8

/* Podman stops none that is paused. */
static int stop_paused(Podman *p, const StopRequest *request, const PodmanCall *stop)
{
    _cleanup_(freep) char *unpause = str_format("/containers/%s/unpause", request->id);
    int r = unpause ? podman_call(p, "POST", unpause, NULL, CALL_TIMEOUT_USEC, "let a container go on", NULL, NULL)
                    : -ENOMEM;

    return r < 0 ? r : podman_call(p, "POST", stop->path, NULL, stop->timeout, stop->what, NULL, NULL);
}

static int judge_stop(Podman *p, const StopRequest *request, const PodmanCall *stop, int result, const Error *reason,
                      Error *err)
{
    bool refused = str_equal(error_id(reason), "podman.refused");

    if (result == 0 || result == -ENOENT || (refused && stop_paused(p, request, stop) == 0))
        return 0;
    if (refused)
        return error_set(err, result, error_id(reason), "%s", error_message(reason, result));
    return error_set(err, result, "podman.timeout", "podman did not stop container %.12s: %s", request->id,
                     error_message(reason, result));
}

int podman_stop_all(Podman *p, const StopRequest *requests, size_t n, Error *err)
{
    _cleanup_(freep) PodmanCall *calls = calloc(n + 1, sizeof(*calls));
    _cleanup_(strv_freep) char **paths = calloc(n + 1, sizeof(*paths));
    _cleanup_(freep) HttpResponse *answers = calloc(n + 1, sizeof(*answers));
    _cleanup_(freep) Error *reasons = calloc(n + 1, sizeof(*reasons));
    _cleanup_(freep) int *results = calloc(n + 1, sizeof(*results));
    int r = 0;

    if (!calls || !paths || !answers || !reasons || !results)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    for (size_t i = 0; i < n; i++) {
        paths[i] = str_format("/containers/%s/stop?timeout=%u", requests[i].id, requests[i].grace_seconds);
        if (!paths[i])
            return error_set(err, ENOMEM, "podman.unreachable", "no memory");
        calls[i] = (PodmanCall) { "POST", paths[i], NULL, requests[i].grace_seconds * USEC_PER_SEC + CALL_TIMEOUT_USEC,
                                  "stop a container" };
    }
    if (n > 0)
        r = podman_call_all(p, calls, n, STOPS_AT_A_TIME, answers, reasons, results);
    for (size_t i = 0; i < n; i++) {
        int stopped = r < 0 && results[i] == 0
                          ? 0
                          : judge_stop(p, &requests[i], &calls[i], results[i], &reasons[i], r < 0 ? NULL : err);

        r = r < 0 ? r : stopped;
        http_response_done(&answers[i]);
        error_done(&reasons[i]);
    }
    return r;
}

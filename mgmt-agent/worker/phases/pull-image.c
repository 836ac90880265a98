/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/pull-image.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/image-sweep.h"
#include "mgmt-agent/worker/phases/report.h"

#define PULL_TRIES 3
#define PULL_PAUSE_USEC USEC_PER_SEC

/* What another try of the same cannot mend. Podman tells only by words. */
static bool is_final(const char *message)
{
    static const char *const words[] = {
        "manifest unknown",  "unauthorized", "denied", "authentication required", "no space left on device", "x509:",
        "invalid reference", "not found"
    };

    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (message && strstr(message, words[i]))
            return true;
    return false;
}

static int judge_pull(const char *service, const Error *reason, int r, Error *err)
{
    bool full = reason->message && strstr(reason->message, "no space left on device");

    if (full)
        r = error_set(err, ENOSPC, "pull.no-space",
                      "%s; see what takes the room as the podman user: podman system df -v", error_message(reason, r));
    else
        r = error_set(err, r, error_id(reason), "%s", error_message(reason, r));
    return error_prefix(err, r, "service %s", service);
}

int deploy_pull_image(Podman *podman, const ImageRequest *pull, Report *report, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *before = NULL;

    if (podman_images(podman, &before, NULL) < 0) /* then it stays for ever, which is the safe side */
        log_debug("which images are here already is not known");
    for (unsigned tries = 1;; tries++) {
        _cleanup_(error_done) Error reason = {};
        int r;

        report_progress(report, "info", pull->service, "pulling %s", pull->reference);
        r = podman_pull(podman, pull->reference, pull->policy, pull->timeout_usec, ret, &reason);
        if (r == 0) {
            deploy_note_pulled(before, *ret, pull->reference);
            return 0;
        }
        if (tries == PULL_TRIES || !str_equal(error_id(&reason), "pull.failed") || is_final(reason.message))
            return judge_pull(pull->service, &reason, r, err);
        report_progress(report, "info", pull->service, "trying again, and keeping the layers that came: %s",
                        error_message(&reason, r));
        usleep((useconds_t) (PULL_PAUSE_USEC * tries));
    }
}

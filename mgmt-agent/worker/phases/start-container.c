/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/start-container.h"

#include <stdlib.h>

#include "mgmt-agent/worker/podman/podman-stale.h"

int box_start_container(const Box *b, const char *container, const char *service, Report *report, Error *err)
{
    _cleanup_(freep) char *removed = NULL;
    int r = podman_start_over_stale(b->podman, &b->user, container, podman_start, &removed, err);

    if (removed)
        report_progress(report, "info", service, "%s", removed);
    return r;
}

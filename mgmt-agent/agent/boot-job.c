/* SPDX-License-Identifier: MIT */
/* After a boot nothing runs: rootless podman starts no container by itself. The snapshot is what shall run, so the agent has a
 * worker start it again, once per boot; who stops a container by hand finds it stopped when the agent restarts. */
#include "mgmt-agent/state/boot-mark.h"

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/state/project.h"

#define TRIES_MAX 5
#define PAUSE_USEC (30 * USEC_PER_SEC)

static bool is_anything_deployed(const Agent *a)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(strv_freep) char **others = NULL;

    return project_list(&others) < 0 || others || a->journal.state == DEPLOY_CONFIRMING ||
           current_load(&current, NULL) < 0 || current;
}

void agent_boot_done(Agent *a)
{
    a->boot.done = true;
    boot_remember();
    watch_continue(a->watch);
    service_watch_continue(a->services);
}

bool agent_start_after_boot(Agent *a)
{
    if (a->boot.done)
        return false;
    if (a->boot.tries == 0 && (!boot_is_new() || !is_anything_deployed(a))) {
        agent_boot_done(a);
        return false;
    }
    if (a->boot.tries == TRIES_MAX) {
        log_error("After %d tries not every service runs again since the boot; `secboxctl status` names them",
                  TRIES_MAX);
        agent_boot_done(a);
        return false;
    }
    if (a->boot.tries > 0 && !a->boot.paused) {
        a->boot.paused = true;
        agent_follow_later(a, PAUSE_USEC);
        return true;
    }
    a->boot.paused = false;
    a->boot.tries++;
    agent_start_job(a, "start", false);
    a->own_job = a->deploying && a->journal.state == DEPLOY_IDLE; /* a push that comes meanwhile waits */
    return true;
}

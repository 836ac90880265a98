/* SPDX-License-Identifier: MIT */
/* After a boot nothing runs: rootless podman starts no container by itself. The snapshot is what shall run, so the agent has a
 * worker start it again, once per boot; who stops a container by hand finds it stopped when the agent restarts. */
#include "mgmt-agent/state/boot-mark.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/image-watch.h"
#include "mgmt-agent/agent/project-watches.h"
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

static void be_done(Agent *a)
{
    a->boot.done = true;
    watch_continue(a->watch);
    service_watch_continue(a->services);
    project_watches_continue(a);
}

void agent_boot_done(Agent *a)
{
    boot_remember();
    be_done(a);
}

static int on_others_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void start_others_later(Agent *a)
{
    int r = timer_arm(a->event, &a->boot.others_timer, PAUSE_USEC, on_others_timer, a);

    if (r < 0)
        log_error("Cannot arm the timer of projects that do not run yet: %s", strerror(-r));
}

/* Nothing waits for it: a change that is under way comes first. */
static int on_others_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Agent *a = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r;

    if (agent_is_busy(a)) {
        start_others_later(a);
        return 0;
    }
    a->boot.others_tries++;
    r = request && json_add_bool(request, "onlyOthers", true) == 0
            ? agent_deploy(a, "start", "start", request, NULL, false, &err)
            : -ENOMEM;
    a->own_job = r == 0;
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot start the other projects yet");
        agent_boot_note_others(a);
    }
    return 0;
}

void agent_boot_note_others(Agent *a)
{
    if (!a->boot.done)
        be_done(a);
    if (a->boot.others_tries < TRIES_MAX) {
        start_others_later(a);
        return;
    }
    log_error(
        "After %d tries not every service of the other projects runs again since the boot; `secboxctl apps` shows "
        "them",
        TRIES_MAX);
    boot_remember();
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

/* SPDX-License-Identifier: MIT */
#include "recovery-agent/self.h"

#include <errno.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "recovery-agent/config-choice.h"

#define RESTART_SSHD_PATH RUN_DIR "/recovery/restart-sshd"
#define SELF_ROUNDS 3 /* of checks, between two of ourselves */
/* each write is one on a flash disk */
#define SCRATCH_EVERY 4
#define SSHD_FAILURES 2

static void on_scratch(bool written, void *userdata)
{
    Recovery *r = userdata;
    if (r->disk_fault == written)
        log_warning(written ? "the disk takes files again" : "the disk takes no file: what is remembered may be old");
    r->disk_fault = !written;
}

/* A path unit sees the file and restarts the sshd with all that it needs: letting people in is no use when nothing
 * answers them. */
static void on_sshd(void *userdata)
{
    Recovery *r = userdata;
    _cleanup_(freep) char *path = path_in_root(RESTART_SSHD_PATH);
    _cleanup_(error_done) Error err = {};
    r->asking_sshd = false;
    r->sshd_failures = listeners_good(r->sshd, 0) ? 0 : r->sshd_failures + 1;
    if (r->sshd_failures == 0 || r->sshd_failures % SSHD_FAILURES != 0)
        return;
    log_warning("the recovery sshd does not answer on port %llu: asking for it to be started anew",
                (unsigned long long) r->config.ssh_port);
    int k = path ? file_write_atomic(path, "", 0, 0600, (uid_t) -1, (gid_t) -1, &err) : -ENOMEM;
    if (k < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, k, "that cannot be asked for");
}

static usec_t self_interval(const Recovery *r)
{
    return SELF_ROUNDS * r->config.interval * USEC_PER_SEC;
}

/* Is what we need ourselves there? */
static int on_self(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    if (r->self_checks++ % SCRATCH_EVERY == 0)
        (void) recovery_save_file(r, "scratch", r->boot_id, on_scratch);
    if (r->was_up && !r->config_kept)
        config_keep(r);
    if (r->asking_sshd)
        listeners_expire(r->sshd);
    else
        listeners_try(r->sshd, on_sshd, r);
    r->asking_sshd = true;
    return timer_arm(r->event, &r->self_timer, self_interval(r), on_self, r);
}

int self_start(Recovery *r, Error *err)
{
    _cleanup_(freep) char *sshd = str_format("banner:127.0.0.1:%llu", (unsigned long long) r->config.ssh_port);
    int k = sshd ? listeners_new(r->event, sshd, &r->sshd, err) : -ENOMEM;
    return k < 0 ? k : timer_arm(r->event, &r->self_timer, self_interval(r), on_self, r);
}

void self_stop(Recovery *r)
{
    sd_event_source_disable_unref(r->self_timer);
    listeners_free(r->sshd);
}

/* SPDX-License-Identifier: MIT */
/* What is remembered, and the life of it all. */
#include "recovery-agent/recovery.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "recovery-agent/config-choice.h"
#include "recovery-agent/round.h"
#include "recovery-agent/self.h"
#include "recovery-agent/way-in.h"

#define STATE_FOLDER STATE_DIR "/recovery"

LadderTime recovery_time(const Recovery *r)
{
    uint64_t wall = realtime_usec() / USEC_PER_SEC;
    return (LadderTime) { .boottime = boottime_usec(),
                          .boot_id = r->boot_id,
                          .wall = wall >= r->state.server_time ? wall : 0 };
}

int recovery_save_file(Recovery *r, const char *name, const char *text, saver_done_t on_done)
{
    _cleanup_(freep) char *path = path_join(r->state.folder, name);
    return path && text ? saver_write(r->saver, path, text, on_done, r) : -ENOMEM;
}

int recovery_save(Recovery *r, saver_done_t on_done)
{
    _cleanup_(freep) char *text = state_print(&r->state);
    return recovery_save_file(r, "state.json", text, on_done);
}

/* A full disk is no reason to end this process: people come in to make room. A loop that does not turn and a process
 * that gets no socket are; but not where there was never one to get. */
int recovery_is_alive(void *recovery)
{
    Recovery *r = recovery;
    usec_t longest = 3 * (r->config.interval + r->config.probe_timeout + 10) * USEC_PER_SEC;
    return alive_still(&r->alive) && (!r->listeners || boottime_usec() - r->round_ended < longest) &&
           (!r->tunnel || !tunnel_is_overdue(r->tunnel));
}

static int start(Recovery *r, Error *err)
{
    _cleanup_(freep) char *key_path = path_join(r->state.folder, "key.pem");
    int k = key_path ? key_load_or_make(key_path, (uid_t) -1, (gid_t) -1, &r->key, err) : -ENOMEM;
    if (k >= 0)
        k = rounds_start(r, err);
    if (k >= 0)
        k = way_in_open(r, err);
    return k < 0 ? k : self_start(r, err);
}

static int prepare(Recovery *r, Error *err)
{
    _cleanup_(freep) char *boot_id = boot_id_read(), *folder = path_in_root(STATE_FOLDER);
    _cleanup_(error_done) Error lost = {};
    if (boot_id)
        memcpy(r->boot_id, boot_id, strnlen(boot_id, BOOT_ID_SIZE - 1));
    const LadderTime now = recovery_time(r);
    int k = folder ? state_load(&r->state, folder, &now, &lost) : -ENOMEM;
    if (k == -EIO)
        log_failure(LOG_LEVEL_WARNING, NULL, &lost, k, "what was remembered is lost");
    else if (k < 0)
        return k;
    return saver_new(r->event, r->program, &r->saver, err);
}

int recovery_new(sd_event *event, const char *program, Recovery **ret, Error *err)
{
    _cleanup_(recovery_freep) Recovery *r = calloc(1, sizeof(*r));
    if (!r)
        return error_from_errno(err, -ENOMEM, "starting");
    r->event = sd_event_ref(event);
    r->program = program;
    int k = config_watch_new(event, config_on_change, r, &r->watch, err);
    if (k >= 0)
        k = config_watch_files(r, NULL);
    if (k >= 0)
        k = prepare(r, err);
    if (k >= 0)
        k = agent_watch_new(event, &r->up_since, &r->agent_watch, err);
    if (k < 0)
        return error_from_errno(err, k, "starting");
    k = config_load(r, err);
    if (k < 0) {
        /* a box that is not claimed yet: its files will change */
        log_failure(LOG_LEVEL_ERROR, NULL, err, k, "there is no configuration; it is read when the file changes");
        error_done(err);
        _cleanup_(freep) char *status = str_format("waits for a configuration: %s", r->config_fault);
        service_status(status ? status : "waits for a configuration");
    } else {
        k = start(r, err);
        if (k < 0)
            return error_from_errno(err, k, "starting");
    }
    *ret = TAKE_PTR(r);
    return 0;
}

Recovery *recovery_free(Recovery *r)
{
    if (!r)
        return NULL;
    rounds_stop(r);
    self_stop(r);
    agent_watch_free(r->agent_watch);
    bridge_free(r->bridge);
    tunnel_free(r->tunnel);
    loopback_done(&r->alive.loopback);
    saver_free(r->saver);
    sd_event_source_disable_unref(r->again);
    sd_event_source_disable_unref(r->leave);
    config_watch_free(r->watch);
    key_free(r->key);
    state_done(&r->state);
    config_done(&r->config);
    config_done(&r->other);
    free(r->last_fault);
    free(r->told);
    free(r->config_fault);
    free(r->refused_session);
    free(r->unsigned_account);
    sd_event_unref(r->event);
    free(r);
    return NULL;
}

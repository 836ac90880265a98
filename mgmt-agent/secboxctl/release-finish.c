/* SPDX-License-Identifier: MIT */
/* The switch from one release to another. Each step is written down before it is taken, so that whoever comes after one that was
 * killed knows what there is to take back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/boot-id.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/proc.h"
#include "lib/base/strv.h"
#include "lib/data/release-folder.h"
#include "lib/event/heartbeat-writer.h"
#include "mgmt-agent/secboxctl/release.h"

#define LOOK_INTERVAL_NSEC 200000000L
/* how long it has to be well without a break; less where there is less time for all of it */
#define SETTLED_MAX (10 * USEC_PER_SEC)
#define SETTLED_PART 5

/* One program's time as far as it is known. */
typedef struct Trial {
    uint64_t pid;   /* 0: none is there */
    usec_t started; /* in time since boot, as heartbeats are */
    usec_t since;   /* it has been well */
    uint64_t first, beat;
} Trial;

static char *heartbeat_path(void)
{
    return path_in_root(SECBOX_RUN_DIR "/heartbeat");
}

static int read_beat(const char *path, uint64_t *ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    int r = heartbeat_check(path, boottime_usec(), err);

    if (r >= 0)
        r = file_read(path, 64, &text, NULL, err);
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    return str_to_u64(text, 0, UINT64_MAX, ret);
}

/* To the kernel's tick, of which the next one is certainly past it. */
static usec_t started_before(uint64_t pid)
{
    usec_t tick = USEC_PER_SEC / (usec_t) sysconf(_SC_CLK_TCK);

    return (process_start_ticks((pid_t) pid) + 1) * tick;
}

/* Negative: it is not well now, and why. */
static int look(const ReleaseRecord *record, Trial *t, Error *why)
{
    _cleanup_(freep) char *path = heartbeat_path();
    uint64_t pid = release_unit_pid(RELEASE_UNIT);

    if (pid == 0)
        return error_set(why, ECHILD, "release.unhealthy", "secbox.service does not stay up: `journalctl -u secbox`");
    if (t->pid != pid)
        *t = (Trial) { .pid = pid, .started = started_before(pid) };
    int r = path ? read_beat(path, &t->beat, why) : -ENOMEM;
    if (r < 0)
        return r;
    /* the program before it may have left one in its last moment */
    if (t->beat < t->started)
        return error_set(why, EAGAIN, "release.unhealthy", "there was no heartbeat since secbox was started");
    if (record->tunnel && !release_tunnel_is_up())
        return error_set(why, ENOTCONN, "release.unhealthy", "the device tunnel, which was up before, is not");
    if (record->relay && release_unit_pid(RELEASE_RELAY_UNIT) == 0)
        return error_set(why, ECHILD, "release.unhealthy",
                         "relay-client.service does not stay up: `journalctl -u relay-client`");
    return 0;
}

/* Well means: the same program all the time, whose loop turns, with all that was there before. */
static int prove(const ReleaseRecord *record, Error *err)
{
    const struct timespec pause = { .tv_nsec = LOOK_INTERVAL_NSEC };
    usec_t deadline = boottime_usec() + record->seconds * USEC_PER_SEC,
           settled = record->seconds * USEC_PER_SEC / SETTLED_PART;
    _cleanup_(error_done) Error why = {};
    Trial t = {};

    for (;;) {
        error_done(&why);
        int r = look(record, &t, &why);
        usec_t now = boottime_usec();

        if (r < 0 || t.since == 0)
            t = (Trial) { .pid = t.pid, .started = t.started, .since = r < 0 ? 0 : now, .first = t.beat };
        else if (now - t.since >= (settled < SETTLED_MAX ? settled : SETTLED_MAX) && t.beat > t.first)
            return 0;
        if (now >= deadline)
            return error_set(err, ETIMEDOUT, "release.unhealthy", "within %u s it did not prove itself: %s",
                             record->seconds,
                             r < 0               ? error_message(&why, r)
                             : t.beat <= t.first ? "no heartbeat came after the first one"
                                                 : "it was not well for long enough");
        (void) nanosleep(&pause, NULL);
    }
}

/* The old heartbeat goes first: what is not there need not be told apart. */
static void restart(const ReleaseRecord *record)
{
    _cleanup_(freep) char *path = heartbeat_path();

    if (!path || file_remove(path, NULL) < 0)
        log_warning("the heartbeat of the release before stays where it is");
    if (!release_unit_do("restart", RELEASE_UNIT))
        log_warning(RELEASE_UNIT " was not started at once; systemd goes on trying");
    if (record->relay && !release_unit_do("restart", RELEASE_RELAY_UNIT))
        log_warning(RELEASE_RELAY_UNIT " was not started at once; systemd goes on trying");
}

/* At boot systemd starts what the link leads to, once we are gone. */
static int put_back(ReleaseRecord *record, bool running, Error *err)
{
    _cleanup_(error_done) Error why = {};
    int r = release_switch(record->from, err);

    if (r < 0)
        return r;
    if (!running) {
        (void) release_unit_do("try-restart", RELEASE_UNIT);
        (void) release_unit_do("try-restart", RELEASE_RELAY_UNIT);
        return 0;
    }
    restart(record);
    r = prove(record, &why);
    if (r >= 0)
        return 0;
    char *both = str_format("%s; and %s is not well either: %s", record->why, record->from, error_message(&why, r));
    if (!both)
        return -ENOMEM;
    free(record->why);
    record->why = both;
    return 0;
}

static int note_why(ReleaseRecord *record, const char *why)
{
    free(record->why);
    record->why = strdup(why);
    return record->why ? 0 : -ENOMEM;
}

/* What nothing leads to any more; `before` NULL: there is no way back from here (stage_before() in verb-release.c). */
static void sweep(const char *current, const char *before)
{
    _cleanup_(error_done) Error why = {};
    int r = release_sweep(current, before, &why);

    if (r < 0)
        log_warning("old releases stay: %s", error_message(&why, r));
}

static int take_back(ReleaseRecord *record, const char *why, bool running, Error *err)
{
    int r = record->state == RELEASE_GOING_BACK && record->why ? 0 : note_why(record, why);

    log_warning("%s goes back to %s: %s", record->to, record->from, why);
    if (r >= 0)
        r = release_record_enter(record, RELEASE_GOING_BACK, err);
    if (r >= 0)
        r = put_back(record, running, err);
    if (r >= 0)
        r = release_record_enter(record, RELEASE_ROLLED_BACK, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot go back to %s", record->from);
    sweep(record->from, NULL);
    return 0;
}

static int carry_out(ReleaseRecord *record, Error *err)
{
    _cleanup_(error_done) Error why = {};
    int r = release_record_enter(record, RELEASE_SWITCHING, err);

    if (r < 0)
        return r;
    r = release_switch(record->to, &why);
    if (r >= 0)
        r = release_record_enter(record, RELEASE_PROVING, &why);
    if (r >= 0) {
        restart(record);
        r = prove(record, &why);
    }
    if (r < 0)
        return take_back(record, error_message(&why, r), true, err);
    r = release_record_enter(record, RELEASE_CONFIRMED, err);
    if (r >= 0)
        sweep(record->to, record->from);
    return r;
}

typedef enum Moment { MOMENT_TURN, MOMENT_BOOT, MOMENT_ANOTHER } Moment;

static int drop_staged(ReleaseRecord *record, const char *why, Error *err)
{
    int r = note_why(record, why);

    if (r >= 0)
        r = release_record_enter(record, RELEASE_FAILED, err);
    if (r >= 0)
        sweep(record->from, NULL);
    return r;
}

static int finish(Moment moment, Error *err)
{
    _cleanup_(release_record_done) ReleaseRecord record = {};
    _cleanup_(freep) char *boot = boot_id_read();
    int r = boot ? release_record_load(&record, err) : -ENOMEM;

    if (r < 0 || !release_record_is_open(&record))
        return r < 0 ? error_from_errno(err, r, "cannot finish a release") : 0;
    bool same_boot = str_equal(record.boot, boot);
    if (same_boot && moment == MOMENT_BOOT)
        return 0;
    if (record.state == RELEASE_STAGED && same_boot && moment == MOMENT_TURN)
        return carry_out(&record, err);
    if (record.state != RELEASE_STAGED)
        return take_back(&record,
                         same_boot ? "putting it in place was interrupted"
                                   : "the machine was started anew before it had proved itself",
                         same_boot, err);
    return drop_staged(&record,
                       same_boot ? "another release came before it was begun, and nothing was changed"
                                 : "the machine was started anew before anything was changed",
                       err);
}

int release_finish(Error *err)
{
    return finish(MOMENT_TURN, err);
}

int release_finish_at_boot(Error *err)
{
    return finish(MOMENT_BOOT, err);
}

int release_finish_for_another(Error *err)
{
    return finish(MOMENT_ANOTHER, err);
}

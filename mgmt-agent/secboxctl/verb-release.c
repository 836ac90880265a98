/* SPDX-License-Identifier: MIT */
/* release: the data plane as a plain program, brought to another version. A unit of its own does it, since whoever asks may sit at
 * the far end of the very tunnel that is restarted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/json-fields.h"
#include "lib/data/release-folder.h"
#include "lib/data/release-order.h"
#include "mgmt-agent/secboxctl/release.h"

#define FINISH_UNIT "secbox-release.service"
#define LOOK_INTERVAL_NSEC 200000000L
#define ID_BYTES 8

static int read_seconds(const Secboxctl *ctl, unsigned *ret, Error *err)
{
    uint64_t seconds = CONFIRM_SECONDS_DEFAULT;

    if (ctl->deadline && str_to_u64(ctl->deadline, CONFIRM_SECONDS_MIN, CONFIRM_SECONDS_MAX, &seconds) < 0)
        return error_set(err, EINVAL, "usage", "--deadline takes seconds from %d to %d, not \"%s\"",
                         CONFIRM_SECONDS_MIN, CONFIRM_SECONDS_MAX, ctl->deadline);
    *ret = (unsigned) seconds;
    return 0;
}

/* What there is before, with which it will be compared. `id` NULL: a new one. */
static int begin_record(const char *id, ReleaseRecord *record, Error *err)
{
    unsigned char random[ID_BYTES];
    int r = release_current(&record->from, err);

    if (r >= 0 && !release_unit_runs(RELEASE_UNIT))
        r = error_set(
            err, ESRCH, "release.not-running",
            "secbox.service does not run here, so no release could prove itself: systemctl enable --now secbox "
            "relay-client; where the data plane runs in containers, push a compose file");
    if (r < 0)
        return r;
    random_bytes(random, sizeof(random));
    record->id = id ? strdup(id) : hex_encode(random, sizeof(random));
    record->relay = release_unit_runs(RELEASE_RELAY_UNIT);
    record->tunnel = release_tunnel_is_up();
    return record->id ? 0 : -ENOMEM;
}

/* The release is there, and nothing has changed. */
static int stage_content(const ReleaseInput *archive, const char *version, ReleaseRecord *record, Error *err)
{
    _cleanup_(release_manifest_done) ReleaseManifest m = {};
    int r = release_unpack(archive->fd, &m, err);

    if (r < 0)
        return r;
    if (version && !str_equal(version, m.version))
        return error_set(err, EBADMSG, "release.bad-manifest", "the archive is release %s, and %s was ordered",
                         m.version, version);
    record->to = release_target(m.version);
    if (!record->to)
        return -ENOMEM;
    if (str_equal(record->to, record->from))
        return error_set(err, EEXIST, "release.runs-already",
                         "%s runs already, and nothing was changed; another content needs another version", m.version);
    return release_place(m.version, err);
}

static int stage_archive(const char *name, ReleaseRecord *record, Error *err)
{
    _cleanup_(release_archive_done) ReleaseInput archive = RELEASE_INPUT_INIT;
    int r = release_archive_get(name, &archive, err);

    if (r >= 0)
        r = release_archive_admit(&archive, &record->who, err);
    return r < 0 ? r : stage_content(&archive, NULL, record, err);
}

/* mgmt-agent has judged the order; the archive lies in a folder that mgmt-link may write to, and is what was ordered or nothing. */
static int stage_ordered(const ReleaseOrder *order, ReleaseRecord *record, Error *err)
{
    _cleanup_(release_archive_done) ReleaseInput archive = RELEASE_INPUT_INIT;
    int r = release_archive_get_fetched(order->sha256, &archive, err);

    if (r >= 0)
        r = json_set(&record->who, order->who);
    return r < 0 ? r : stage_content(&archive, order->to, record, err);
}

static int stage_before(ReleaseRecord *record, Error *err)
{
    _cleanup_(release_record_done) ReleaseRecord last = {};
    int r = release_record_load(&last, err);

    if (r >= 0 && (last.state != RELEASE_CONFIRMED || !str_equal(last.to, record->from)))
        r = error_set(err, ENOENT, "release.no-way-back",
                      "no release was put in place before %s that one could go back to", record->from);
    if (r < 0)
        return r;
    record->to = strdup(last.from);
    return record->to ? release_check(record->to, err) : -ENOMEM;
}

/* `archive` NULL: the one before. Whoever is killed in here has changed nothing but what is taken back by whoever comes next. */
static int stage(const Secboxctl *ctl, const char *archive, ReleaseRecord *record, Error *err)
{
    _cleanup_(closep) int lock = release_lock(err);
    int r = lock < 0 ? lock : read_seconds(ctl, &record->seconds, err);

    if (r >= 0)
        r = release_finish_for_another(err);
    if (r >= 0)
        r = begin_record(NULL, record, err);
    if (r >= 0)
        r = archive ? stage_archive(archive, record, err) : stage_before(record, err);
    return r < 0 ? error_from_errno(err, r, "cannot bring a release")
                 : release_record_enter(record, RELEASE_STAGED, err);
}

static char *line_of(const ReleaseRecord *record)
{
    _cleanup_(freep) char *line =
        str_format("%s -> %s: %s%s%s", record->from, record->to, release_state_name(record->state),
                   record->why ? ": " : "", record->why ? record->why : "");

    return line ? text_printable(line) : NULL;
}

static int show_end(const Secboxctl *ctl, const ReleaseRecord *record)
{
    int exit_code = record->state == RELEASE_CONFIRMED ? EXIT_OK : EXIT_FAILED;
    _cleanup_(cJSON_Deletep) cJSON *document = ctl->json ? release_record_describe(record) : NULL;

    if (!ctl->json)
        return exit_code;
    return document ? report_json(document, exit_code) : secboxctl_fail(ctl, NULL, -ENOMEM);
}

/* Reads the record again and again: it is whole at any moment. */
static int follow(const Secboxctl *ctl, const char *id, usec_t timeout)
{
    const struct timespec pause = { .tv_nsec = LOOK_INTERVAL_NSEC };
    usec_t deadline = boottime_usec() + timeout;
    _cleanup_(error_done) Error err = {};
    int told = RELEASE_NONE;

    while (boottime_usec() < deadline) {
        _cleanup_(release_record_done) ReleaseRecord record = {};
        int r = release_record_load(&record, &err);

        if (r >= 0 && !str_equal(record.id, id))
            r = error_set(&err, EBUSY, "release.busy", "somebody else brings another release");
        if (r < 0)
            return secboxctl_fail(ctl, &err, r);
        _cleanup_(freep) char *line = record.state != told && !ctl->json ? line_of(&record) : NULL;
        if (line) {
            printf("%s\n", line);
            fflush(stdout);
        }
        told = record.state;
        if (!release_record_is_open(&record))
            return show_end(ctl, &record);
        (void) nanosleep(&pause, NULL);
    }
    int r = error_set(&err, ETIMEDOUT, "release.timeout",
                      "it is not over yet: `secboxctl release status` and `journalctl -u secbox-release` tell");
    return secboxctl_fail(ctl, &err, r);
}

/* What carries out what is staged. */
static int start_unit(Error *err)
{
    return release_unit_do("start", FINISH_UNIT)
               ? 0
               : error_set(err, EHOSTUNREACH, "release.no-unit",
                           "systemd does not start secbox-release.service: `systemctl status secbox-release`");
}

static int change(void *userdata, const char *archive)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(release_record_done) ReleaseRecord record = {};
    _cleanup_(error_done) Error err = {};
    usec_t timeout = 0;
    int r = secboxctl_need_root(ctl, &err);

    if (r >= 0)
        r = secboxctl_timeout(ctl, &timeout, &err);
    if (r >= 0)
        r = stage(ctl, archive, &record, &err);
    if (r >= 0)
        r = start_unit(&err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : follow(ctl, record.id, timeout);
}

int verb_release_apply(int argc, char **argv, void *userdata)
{
    (void) argc;
    return change(userdata, argv[0]);
}

int verb_release_rollback(int argc, char **argv, void *userdata)
{
    (void) argc;
    (void) argv;
    return change(userdata, NULL);
}

int verb_release_status(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(release_record_done) ReleaseRecord record = {};
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject(), *last = NULL;
    _cleanup_(freep) char *current = NULL, *line = NULL;
    _cleanup_(error_done) Error err = {};
    int r = secboxctl_need_root(ctl, &err);

    (void) argc;
    (void) argv;
    if (r >= 0)
        r = release_current(&current, &err);
    if (r >= 0)
        r = release_record_load(&record, &err);
    if (r >= 0 && !ctl->json) {
        line = record.state == RELEASE_NONE ? strdup("none was ever applied") : line_of(&record);
        return report_text(line ? str_format("runs   %s\nlast   %s\n", current, line) : NULL, EXIT_OK);
    }
    last = r >= 0 && record.state != RELEASE_NONE ? release_record_describe(&record) : NULL;
    if (r >= 0 && (!document || json_add_string(document, "current", current) < 0 ||
                   (last && json_add_item(document, "last", TAKE_PTR(last)) < 0)))
        r = -ENOMEM;
    return r < 0 ? secboxctl_fail(ctl, &err, r) : report_json(document, EXIT_OK);
}

/* For the verbs of units: *ret_lock is release_lock()'s, which the caller closes. */
static int begin_locked(const Secboxctl *ctl, int *ret_lock, Error *err)
{
    int r = secboxctl_need_root(ctl, err);

    log_open(PROGRAM);
    if (r >= 0)
        r = *ret_lock = release_lock(err);
    return r < 0 ? r : 0;
}

int verb_release_finish(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    _cleanup_(closep) int lock = -1;
    int r = begin_locked(ctl, &lock, &err);

    (void) argc;
    (void) argv;
    if (r >= 0)
        r = release_finish(&err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : EXIT_OK;
}

/* What nothing was begun of is a refusal; the record of the last release stays. */
static int bring_ordered(const ReleaseOrder *order, Error *err)
{
    _cleanup_(release_record_done) ReleaseRecord record = {}, last = {};
    _cleanup_(error_done) Error why = {};
    int r = release_record_load(&last, err);

    if (r < 0)
        return r;
    if (str_equal(last.id, order->id)) /* we were killed behind that */
        return 0;
    record.seconds = order->seconds;
    r = release_finish_for_another(&why);
    if (r >= 0)
        r = begin_record(order->id, &record, &why);
    if (r >= 0)
        r = stage_ordered(order, &record, &why);
    if (r < 0) {
        error_from_errno(&why, r, "cannot bring a release");
        return release_refusal_save(order->id, &why, r, err);
    }
    return release_record_enter(&record, RELEASE_STAGED, err);
}

int verb_release_order(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(release_order_done) ReleaseOrder order = {};
    _cleanup_(error_done) Error err = {};
    int lock = -1, r = begin_locked(ctl, &lock, &err);

    (void) argc;
    (void) argv;
    if (r >= 0)
        r = release_order_load(&order, &err);
    if (r >= 0 && !order.id)
        r = error_set(&err, ENOENT, "release.no-order", "the cloud has ordered no release");
    if (r >= 0)
        r = bring_ordered(&order, &err);
    if (lock >= 0)
        close(lock);
    if (r >= 0)
        r = start_unit(&err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : EXIT_OK;
}

/* A box that was paired by its page has mgmt-agent.env alone. What is there is left as it is, whatever it says. */
static int ensure_env(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH), *agent_path = path_in_root(AGENT_ENV_PATH);
    _cleanup_(env_freep) EnvFile *agent = NULL, *derived = NULL;
    _cleanup_(secret_freep) char *text = NULL;

    if (!path || !agent_path)
        return -ENOMEM;
    if (access(path, F_OK) == 0 || access(agent_path, F_OK) < 0)
        return 0;
    int r = env_load_kind(ENV_AGENT, agent_path, &agent, err);
    if (r >= 0)
        r = env_derive_secbox(agent, &derived, err);
    /* a container does not see the file; here it is the same one */
    if (r >= 0 && !str_empty(env_get(agent, "CLOUD_CA_FILE")))
        r = env_set(derived, "CLOUD_CA_FILE", env_get(agent, "CLOUD_CA_FILE"), err);
    if (r >= 0)
        text = env_print(derived);
    if (r >= 0 && !text)
        r = -ENOMEM;
    return r < 0 ? r : file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

/* Before secbox starts. Another process that is at work on a release has started it, and knows what it does. */
int verb_release_prepare(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    _cleanup_(closep) int lock = -1;
    int r = begin_locked(ctl, &lock, &err);

    (void) argc;
    (void) argv;
    if (r >= 0)
        r = release_finish_at_boot(&err);
    if (r == -EBUSY) {
        error_done(&err);
        r = 0;
    }
    if (r >= 0)
        r = ensure_env(&err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : EXIT_OK;
}

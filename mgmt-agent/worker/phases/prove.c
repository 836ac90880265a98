/* SPDX-License-Identifier: MIT */
/* Asks podman, service by service, whether what runs is what was asked: the image, the settings, the environment, the
 * health, and that it stays up. An exit status proves nothing. */

#include "mgmt-agent/worker/phases/prove.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/prove/settings.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/proc.h"
#include "mgmt-agent/worker/phases/health-trial.h"
#include "mgmt-agent/worker/phases/report.h"

#define POLL_USEC (250 * USEC_PER_MSEC)
#define SETTLE_PAUSE_USEC (100 * USEC_PER_MSEC)
#define SETTLE_TRIES 100
#define HEALTH_CALL_MARGIN_USEC (10 * USEC_PER_SEC)
#define HEALTH_PAUSE_MAX_USEC (2 * USEC_PER_SEC)
#define WORD_USEC USEC_PER_MINUTE /* how often a long wait is told */
/* A migration may take hours; what is left of the worker's own time is for taking it back. */
#define COMPLETE_WAIT_MAX_HOURS (WORKER_HOURS_MAX - 1)
#define KEPT_WAIT_USEC (10 * USEC_PER_SEC)
#define LOG_LINES_SHOWN 20

/* A container writes what it likes; the journal and messages hold UTF-8. The end of it, if it is long. A new string or NULL. */
static char *make_printable(const char *log)
{
    Buf b = BUF_INIT(8 * PROCESS_OUTPUT_MAX);
    const char *end;
    char *text = NULL;
    int r = 0;

    while (r == 0 && *log) {
        size_t n = strcspn(log, "\n");
        _cleanup_(freep) char *line = strndup(log, n);
        _cleanup_(freep) char *safe = line ? text_printable(line) : NULL;

        r = safe ? buf_printf(&b, "%s\n", safe) : -ENOMEM;
        log += n + (log[n] == '\n');
    }
    if (r == 0 && b.len > 0) {
        end = b.data + (b.len > FAILED_LOG_MAX ? b.len - FAILED_LOG_MAX : 0);
        while (((unsigned char) *end & 0xc0) == 0x80)
            end++;
        text = strdup(end);
    }
    buf_done(&b);
    return text;
}

static void show_log(Deploy *d, const char *container, const char *service)
{
    _cleanup_(freep) char *raw = podman_log_tail(d->box.podman, container, LOG_LINES_SHOWN);
    const char *log;

    free(d->proof.failed_log);
    d->proof.failed_log = raw ? make_printable(raw) : NULL;
    log = d->proof.failed_log;
    if (str_empty(log))
        report_progress(&d->report, "info", service, "container %s wrote no log", container);
    else
        report_progress(&d->report, "info", service, "last lines of container %s:\n%s", container, log);
}

static int not_proved(Deploy *d, const ComposeService *s, Error *err, const char *id, const char *fmt, ...)
    _printf_(5, 6);
static int not_proved(Deploy *d, const ComposeService *s, Error *err, const char *id, const char *fmt, ...)
{
    _cleanup_(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = str_vformat(fmt, ap);
    va_end(ap);
    show_log(d, s->container_name, s->name);
    return error_set_at(err, EIO, id, NULL, s->line, s->name, "service %s: %s", s->name, text ? text : "not proved");
}

static bool is_one_shot(const ComposeService *s)
{
    return str_equal(s->restart, "no") || str_starts(s->restart, "on-failure");
}

/* podman says "stopped" of one whose process has ended while it has not noted how yet. */
static int inspect_settled(Deploy *d, const ComposeService *s, cJSON **ret, Error *err)
{
    for (unsigned tries = 0;; tries++) {
        cJSON *info = NULL;
        int r = podman_inspect(d->box.podman, s->container_name, &info, err);

        if (r < 0)
            return r;
        if (tries == SETTLE_TRIES ||
            !str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "stopped")) {
            *ret = info;
            return 0;
        }
        cJSON_Delete(info);
        usleep(SETTLE_PAUSE_USEC);
    }
}

typedef enum Life {
    LIFE_RUNNING,
    LIFE_COMPLETED, /* a one-shot that ended with 0 */
} Life;

/* The container is alive (or has ended well) and has never been restarted. */
static int check_life(Deploy *d, const ComposeService *s, const cJSON *info, Life *ret, Error *err)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(info, "State");
    const cJSON *restarts = cJSON_GetObjectItemCaseSensitive(info, "RestartCount");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(state, "ExitCode");
    const char *status = json_string(state, "Status");

    if (cJSON_IsNumber(restarts) && restarts->valueint > 0)
        return not_proved(d, s, err, "prove.restarts", "it died and was restarted %d times", restarts->valueint);
    if (str_equal(status, "running")) {
        *ret = LIFE_RUNNING;
        return 0;
    }
    if (str_equal(status, "exited") && cJSON_IsNumber(code) && code->valueint == 0 && is_one_shot(s)) {
        *ret = LIFE_COMPLETED;
        return 0;
    }
    if (str_equal(status, "exited") && cJSON_IsNumber(code))
        return not_proved(d, s, err, "prove.died", "its container exited with status %d", code->valueint);
    return not_proved(d, s, err, "prove.not-running", "its container is %s", status ? status : "in an unknown state");
}

static int64_t number_member(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(n) ? (int64_t) n->valuedouble : 0;
}

typedef struct Health {
    bool exists;
    cJSON *argv; /* the compose file's test as a command; NULL: podman runs the image's own */
    HealthRules rules;
} Health;

static void health_done(Health *h)
{
    cJSON_Delete(h->argv);
}

static usec_t usec_member(const cJSON *o, const char *key, usec_t fallback)
{
    uint64_t value;

    return json_u64(o, key, &value) == 0 && value > 0 ? value : fallback;
}

/* ["CMD", "a", "b"] → a b; ["CMD-SHELL", "text"] → /bin/sh -c text. NULL when there is nothing to run. */
static cJSON *test_to_argv(const cJSON *test)
{
    const char *kind = cJSON_GetStringValue(cJSON_GetArrayItem(test, 0));
    cJSON *argv = NULL;

    if (str_equal(kind, "CMD")) {
        argv = cJSON_Duplicate(test, 1);
        cJSON_DeleteItemFromArray(argv, 0);
    } else if (str_equal(kind, "CMD-SHELL")) {
        argv = cJSON_CreateStringArray(
            (const char *[]) { "/bin/sh", "-c", cJSON_GetStringValue(cJSON_GetArrayItem(test, 1)) }, 3);
    }
    return argv;
}

/* The compose file's check is run by us, word for word: podman-compose can only hand it over as a line for a shell, which an
 * image need not have. Else the image's own, as podman inspects it (in nanoseconds). */
static Health health_of(const ComposeService *s, const cJSON *info)
{
    const cJSON *config =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Healthcheck");
    const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(config, "Test"), 0));
    Health h = { .exists = first && !str_equal(first, "NONE"),
                 .rules = { .interval = (usec_t) number_member(config, "Interval") / 1000,
                            .timeout = (usec_t) number_member(config, "Timeout") / 1000,
                            .start_period = (usec_t) number_member(config, "StartPeriod") / 1000,
                            .retries = number_member(config, "Retries") } };

    if (cJSON_HasObjectItem(s->healthcheck, "test") || json_bool(s->healthcheck, "disable", false)) {
        h.argv = test_to_argv(cJSON_GetObjectItemCaseSensitive(s->healthcheck, "test"));
        h.exists = h.argv != NULL;
        h.rules.interval = usec_member(s->healthcheck, "interval_usec", 0);
        h.rules.timeout = usec_member(s->healthcheck, "timeout_usec", 0);
        h.rules.start_period = usec_member(s->healthcheck, "start_period_usec", 0);
        h.rules.retries = number_member(s->healthcheck, "retries");
    }
    if (h.rules.retries <= 0)
        h.rules.retries = 3;
    if (h.rules.interval == 0)
        h.rules.interval = 30 * USEC_PER_SEC;
    if (h.rules.timeout == 0)
        h.rules.timeout = 30 * USEC_PER_SEC;
    return h;
}

/* 1 healthy, 0 not (or the check itself could not be run: reason says why). */
static int run_health_check(Deploy *d, const ComposeService *s, const Health *h, Error *reason)
{
    int r;

    if (!h->argv)
        return podman_healthcheck(d->box.podman, s->container_name, h->rules.timeout + HEALTH_CALL_MARGIN_USEC,
                                  reason) == 1;
    r = podman_exec(d->box.podman, s->container_name, h->argv, h->rules.timeout, reason);
    if (r > 0)
        error_set(reason, EIO, "prove.unhealthy", "it ended with status %d (124: not within its timeout)", r);
    return r == 0;
}

/* When the container's first process started, on CLOCK_BOOTTIME: the kernel's word, which no clock step moves. */
static usec_t started_at(const cJSON *info)
{
    pid_t pid = (pid_t) number_member(cJSON_GetObjectItemCaseSensitive(info, "State"), "Pid");
    uint64_t ticks = pid > 0 ? process_start_ticks(pid) : 0;

    return ticks * (USEC_PER_SEC / (usec_t) sysconf(_SC_CLK_TCK));
}

/* The gateway takes a box that says nothing for too long for lost. */
static bool is_due(usec_t *next)
{
    usec_t now = boottime_usec();

    if (now < *next)
        return false;
    *next = now + WORD_USEC;
    return true;
}

/* Runs the check until it passes, or has failed as often as its own settings allow. Podman's own timer cannot be relied on:
 * without a systemd session its status says "starting" for ever. `started`: when the container was. */
static int wait_healthy(Deploy *d, const ComposeService *s, const Health *h, usec_t started, Error *err)
{
    usec_t pause = h->rules.interval < HEALTH_PAUSE_MAX_USEC ? h->rules.interval : HEALTH_PAUSE_MAX_USEC;
    usec_t told = boottime_usec() + WORD_USEC;
    HealthTrial trial = health_trial_new(&h->rules, started);

    for (;;) {
        _cleanup_(error_done) Error reason = {};
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        usec_t begun = boottime_usec();
        Life life;
        int r;

        if (run_health_check(d, s, h, &reason))
            return 0;
        r = inspect_settled(d, s, &info, err);
        if (r == 0)
            r = check_life(d, s, info, &life, err);
        if (r < 0)
            return r;
        if (health_trial_failed(&trial, &h->rules, begun, boottime_usec()))
            return not_proved(d, s, err, "prove.unhealthy", "its health check failed %lld times in a row: %s",
                              (long long) trial.failures,
                              reason.message ? reason.message : "podman calls it unhealthy");
        if (is_due(&told))
            report_progress(&d->report, "info", s->name, "%s is not healthy yet: %s", s->container_name,
                            reason.message ? reason.message : "podman says so");
        usleep((useconds_t) pause);
    }
}

static int wait_completed(Deploy *d, const ComposeService *s, Error *err)
{
    usec_t limit = boottime_usec() + COMPLETE_WAIT_MAX_HOURS * USEC_PER_HOUR, told = boottime_usec() + WORD_USEC;

    for (;;) {
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        Life life = LIFE_RUNNING;
        int r = inspect_settled(d, s, &info, err);

        if (r == 0)
            r = check_life(d, s, info, &life, err);
        if (r < 0 || life == LIFE_COMPLETED)
            return r;
        if (boottime_usec() > limit)
            return not_proved(d, s, err, "prove.not-completed", "it did not complete within %d hours",
                              COMPLETE_WAIT_MAX_HOURS);
        if (is_due(&told))
            report_progress(&d->report, "info", s->name, "%s has not completed yet", s->container_name);
        usleep(POLL_USEC);
    }
}

int deploy_wait_ready(Deploy *d, const ComposeService *s, bool completed, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(health_done) Health health = {};
    int r;

    if (completed)
        return wait_completed(d, s, err);
    r = inspect_settled(d, s, &info, err);
    if (r < 0)
        return r;
    health = health_of(s, info);
    return health.exists ? wait_healthy(d, s, &health, started_at(info), err) : 0;
}

/* Identity and settings, which cannot change while the container lives. */
static int prove_settings(Deploy *d, const ComposeService *s, const cJSON *info, Error *err)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Labels");
    const char *wanted_image = map_get(d->target.image_ids, s->name), *image = json_string(info, "Image");
    _cleanup_(freep) char *difference = NULL;
    int r;

    if (!str_equal(image, wanted_image))
        return not_proved(d, s, err, "prove.wrong-image", "it runs image %.12s, not %.12s", image ? image : "?",
                          wanted_image ? wanted_image : "?");
    if (!str_equal(json_string(labels, LABEL_HASH), s->config_hash))
        return not_proved(d, s, err, "prove.wrong-settings", "its container was not made from this snapshot");
    r = settings_compare(s, d->target.project, d->target.bind_targets, info, &difference);
    if (r < 0)
        return error_set(err, r, "prove.failed", "cannot compare the settings of service %s", s->name);
    return r > 0 ? not_proved(d, s, err, "prove.wrong-settings", "%s", difference) : 0;
}

/* Its container as podman shows it now, kept for what is made current afterwards. *ret is borrowed from d->proof.inspections. */
static int look(Deploy *d, const ComposeService *s, const cJSON **ret, Error *err)
{
    cJSON *info = NULL;
    int r = inspect_settled(d, s, &info, err);

    if (r < 0)
        return r;
    if (map_put(d->proof.inspections, s->name, info) < 0) {
        cJSON_Delete(info);
        return error_set(err, ENOMEM, "prove.failed", "no memory");
    }
    *ret = info;
    return 0;
}

static int inspect_life(Deploy *d, const ComposeService *s, const cJSON **ret, Life *ret_life, Error *err)
{
    int r = look(d, s, ret, err);

    return r < 0 ? r : check_life(d, s, *ret, ret_life, err);
}

/* A service that this push does not change only has to be there still: its restarts of last month, or a camera that makes
 * it unhealthy today, are no reason to undo the push. One that its restart policy is just bringing back gets a moment. */
static int prove_kept(Deploy *d, const ComposeService *s, Error *err)
{
    usec_t until = boottime_usec() + KEPT_WAIT_USEC;

    for (;;) {
        const cJSON *info;
        const char *status;
        int r = look(d, s, &info, err);

        if (r < 0)
            return r;
        status = json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status");
        if (str_equal(status, "running") || (str_equal(status, "exited") && is_one_shot(s)))
            /* a change that is limited to other services says nothing of this one's settings */
            return d->order.only ? 0 : prove_settings(d, s, info, err);
        if (boottime_usec() > until)
            return not_proved(d, s, err, "prove.not-running", "it is not changed by this push, and its container is %s",
                              status ? status : "in an unknown state");
        usleep(POLL_USEC);
    }
}

/* 1 when time went by waiting for its health. */
static int prove_changed(Deploy *d, const ComposeService *s, Error *err)
{
    _cleanup_(health_done) Health health = {};
    const cJSON *info;
    Life life;
    int r = inspect_life(d, s, &info, &life, err);

    if (r == 0)
        r = prove_settings(d, s, info, err);
    if (r < 0)
        return r;
    health = health_of(s, info);
    if (!health.exists || life != LIFE_RUNNING)
        return 0;
    r = wait_healthy(d, s, &health, started_at(info), err);
    if (r < 0)
        return r;
    report_progress(&d->report, "info", s->name, "%s is healthy", s->container_name);
    return 1;
}

static void free_inspection(void *value)
{
    cJSON_Delete(value);
}

/* Of the containers that this push made. */
static usec_t youngest_start(const Deploy *d)
{
    usec_t youngest = 0;

    for (size_t i = 0; i < d->target.project->n_services; i++) {
        const char *name = d->target.project->services[i].name;
        usec_t started = deploy_change_of(d, name) ? started_at(map_get(d->proof.inspections, name)) : 0;

        if (started > youngest)
            youngest = started;
    }
    return youngest;
}

static int check_all_alive(Deploy *d, Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->target.project->n_services; i++) {
        const cJSON *info;
        Life life;

        if (deploy_change_of(d, d->target.project->services[i].name))
            r = inspect_life(d, &d->target.project->services[i], &info, &life, err);
    }
    return r;
}

/* Until all were seen alive in one look that began when the youngest container had been up for the settle time; a death
 * meanwhile is seen at once, not at the end. `begun` is when the last look began. */
static int settle(Deploy *d, usec_t begun, Error *err)
{
    usec_t end;
    int r = 0;

    while (r == 0 && begun < (end = youngest_start(d) + d->options->settle_usec)) {
        usec_t now = boottime_usec();

        if (now < end)
            usleep((useconds_t) (end - now < POLL_USEC ? end - now : POLL_USEC));
        begun = boottime_usec();
        r = check_all_alive(d, err);
    }
    return r;
}

static bool ran_before(const Deploy *d, const char *container)
{
    for (size_t i = 0; i < d->before.n_observed; i++)
        if (str_equal(d->before.observed[i].name, container))
            return str_equal(d->before.observed[i].state, "running");
    return false;
}

/* 1 when time went by waiting for its health. */
static int prove_one(Deploy *d, const ComposeService *s, Error *err)
{
    if (deploy_change_of(d, s->name))
        return prove_changed(d, s, err);
    return !d->order.only || ran_before(d, s->container_name) ? prove_kept(d, s, err) : 0;
}

int deploy_prove(Deploy *d, Error *err)
{
    usec_t begun = boottime_usec();
    int r = 0;

    map_free(d->proof.inspections);
    d->proof.inspections = map_new(free_inspection);
    if (!d->proof.inspections)
        return error_set(err, ENOMEM, "prove.failed", "no memory");
    for (size_t i = 0; r >= 0 && i < d->target.project->n_services; i++) {
        r = prove_one(d, &d->target.project->services[i], err);
        if (r > 0) /* those before it may have died while it was waited for */
            begun = 0;
    }
    if (r >= 0)
        r = settle(d, begun, err);
    if (r == 0)
        report_progress(&d->report, "info", NULL, "%zu of %zu services proved", d->target.project->n_services,
                        d->target.project->n_services);
    return r;
}

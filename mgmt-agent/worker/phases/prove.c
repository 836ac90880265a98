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
#include "lib/base/proc.h"
#include "mgmt-agent/worker/phases/container-health.h"
#include "mgmt-agent/worker/phases/container-state.h"
#include "mgmt-agent/worker/phases/guests.h"
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

/* By its id, where it was looked at: the name may be another's by now. */
static const char *container_of(const ProofContext *p, const ComposeService *s)
{
    const char *id = p->proof->inspections ? json_string(map_get(p->proof->inspections, s->name), "Id") : NULL;

    return id ? id : s->container_name;
}

static void show_log(const ProofContext *p, const ComposeService *s)
{
    _cleanup_(freep) char *raw = podman_log_tail(p->podman, container_of(p, s), LOG_LINES_SHOWN);
    const char *log;

    free(p->proof->failed_log);
    p->proof->failed_log = raw ? make_printable(raw) : NULL;
    log = p->proof->failed_log;
    if (str_empty(log))
        report_progress(p->report, "info", s->name, "container %s wrote no log", s->container_name);
    else
        report_progress(p->report, "info", s->name, "last lines of container %s:\n%s", s->container_name, log);
}

static int not_proved(const ProofContext *p, const ComposeService *s, Error *err, const char *id, const char *fmt, ...)
    _printf_(5, 6);
static int not_proved(const ProofContext *p, const ComposeService *s, Error *err, const char *id, const char *fmt, ...)
{
    _cleanup_(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = str_vformat(fmt, ap);
    va_end(ap);
    show_log(p, s);
    return error_set_at(err, EIO, id, NULL, s->line, s->name, "service %s: %s", s->name, text ? text : "not proved");
}

static pid_t process_of(const cJSON *info)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "State"), "Pid");

    return cJSON_IsNumber(n) ? (pid_t) n->valuedouble : 0;
}

/* Podman goes on saying that it runs until it has noticed. */
static bool has_died_since(const cJSON *info)
{
    pid_t pid = process_of(info);

    return pid > 0 && process_start_ticks(pid) == 0;
}

/* podman says "stopped" of one whose process has ended while it has not noted how yet. */
static bool is_settled(const cJSON *info)
{
    const char *status = json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status");

    return !str_equal(status, "stopped") && !has_died_since(info);
}

static int inspect_settled(const ProofContext *p, const ComposeService *s, cJSON **ret, Error *err)
{
    for (unsigned tries = 0;; tries++) {
        cJSON *info = NULL;
        int r = podman_inspect(p->podman, s->container_name, &info, err);

        if (r < 0)
            return r;
        if (is_settled(info) || (tries == SETTLE_TRIES && !has_died_since(info))) {
            *ret = info;
            return 0;
        }
        cJSON_Delete(info);
        if (tries == SETTLE_TRIES)
            return error_set_at(err, EIO, "podman.process-gone", NULL, s->line, s->name,
                                "service %s: podman says that %s runs, and its process is not there: podman restart %s",
                                s->name, s->container_name, s->container_name);
        usleep(SETTLE_PAUSE_USEC);
    }
}

static int check_state(const ProofContext *p, const ComposeService *s, const cJSON *info, ContainerState *ret,
                       Error *err)
{
    _cleanup_(error_done) Error reason = {};
    int r = container_state_check(s, info, ret, &reason);

    return r < 0 ? not_proved(p, s, err, error_id(&reason), "%s", error_message(&reason, r)) : 0;
}

/* 1 healthy, 0 not (or the check itself could not be run: reason says why). */
static int run_health_check(const ProofContext *p, const char *container, const ContainerHealth *h, Error *reason)
{
    int r;

    if (!h->argv)
        return podman_healthcheck(p->podman, container, h->rules.timeout + HEALTH_CALL_MARGIN_USEC, reason) == 1;
    r = podman_exec(p->podman, container, h->argv, h->rules.timeout, reason);
    if (r > 0)
        error_set(reason, EIO, "prove.unhealthy", "it ended with status %d (124: not within its timeout)", r);
    return r == 0;
}

/* When the container's first process started, on CLOCK_BOOTTIME: the kernel's word, which no clock step moves. Now, if it has
 * died since it was looked at: then it has to be looked at again. */
static usec_t started_at(const cJSON *info)
{
    pid_t pid = process_of(info);
    uint64_t ticks = pid > 0 ? process_start_ticks(pid) : 0;

    return pid > 0 && ticks == 0 ? boottime_usec() : ticks * (USEC_PER_SEC / (usec_t) sysconf(_SC_CLK_TCK));
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
 * without a systemd session its status says "starting" for ever. `info`: its container. */
static int wait_healthy(const ProofContext *p, const ComposeService *s, const ContainerHealth *h, const cJSON *info,
                        Error *err)
{
    const char *id = json_string(info, "Id"), *container = id ? id : s->container_name;
    usec_t often =
        h->start_interval > 0 && h->start_interval < h->rules.interval ? h->start_interval : h->rules.interval;
    usec_t pause = often < HEALTH_PAUSE_MAX_USEC ? often : HEALTH_PAUSE_MAX_USEC;
    usec_t told = boottime_usec() + WORD_USEC;
    HealthTrial trial = health_trial_new(&h->rules, started_at(info));

    for (;;) {
        _cleanup_(error_done) Error reason = {};
        _cleanup_(cJSON_Deletep) cJSON *now = NULL;
        usec_t begun = boottime_usec();
        ContainerState state;
        int r;

        if (run_health_check(p, container, h, &reason))
            return 0;
        r = inspect_settled(p, s, &now, err);
        if (r == 0)
            r = check_state(p, s, now, &state, err);
        if (r < 0)
            return r;
        if (health_trial_failed(&trial, &h->rules, begun, boottime_usec()))
            return not_proved(p, s, err, "prove.unhealthy", "its health check failed %lld times in a row: %s",
                              (long long) trial.failures,
                              reason.message ? reason.message : "podman calls it unhealthy");
        if (is_due(&told))
            report_progress(p->report, "info", s->name, "%s is not healthy yet: %s", s->container_name,
                            reason.message ? reason.message : "podman says so");
        usleep((useconds_t) pause);
    }
}

static int wait_completed(const ProofContext *p, const ComposeService *s, Error *err)
{
    usec_t limit = boottime_usec() + COMPLETE_WAIT_MAX_HOURS * USEC_PER_HOUR, told = boottime_usec() + WORD_USEC;

    for (;;) {
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        ContainerState state = CONTAINER_RUNNING;
        int r = inspect_settled(p, s, &info, err);

        if (r == 0)
            r = check_state(p, s, info, &state, err);
        if (r < 0 || state == CONTAINER_COMPLETED)
            return r;
        if (boottime_usec() > limit)
            return not_proved(p, s, err, "prove.not-completed", "it did not complete within %d hours",
                              COMPLETE_WAIT_MAX_HOURS);
        if (is_due(&told))
            report_progress(p->report, "info", s->name, "%s has not completed yet", s->container_name);
        usleep(POLL_USEC);
    }
}

int deploy_wait_ready(const ProofContext *p, const ComposeService *s, bool completed, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(container_health_done) ContainerHealth health = {};
    int r;

    if (completed)
        return wait_completed(p, s, err);
    r = inspect_settled(p, s, &info, err);
    if (r < 0)
        return r;
    health = container_health(s, info);
    return health.exists ? wait_healthy(p, s, &health, info, err) : 0;
}

/* Identity and settings, which cannot change while the container lives. */
static int prove_settings(const ProofContext *p, const ComposeService *s, const cJSON *info, Error *err)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Labels");
    const char *wanted_image = map_get(p->target->image_ids, s->name), *image = json_string(info, "Image");
    _cleanup_(map_freep) Map *ids = NULL;
    _cleanup_(freep) char *difference = NULL;
    int r;

    if (!str_equal(image, wanted_image))
        return not_proved(p, s, err, "prove.wrong-image", "it runs image %.12s, not %.12s", image ? image : "?",
                          wanted_image ? wanted_image : "?");
    if (!str_equal(json_string(labels, LABEL_HASH), s->config_hash))
        return not_proved(p, s, err, "prove.wrong-settings", "its container was not made from this snapshot");
    r = guests_find_owners(p->podman, p->target->project, s, &ids, err);
    if (r < 0)
        return r;
    const ProofFacts facts = { .links = p->target->bind_targets, .ids = ids };
    r = settings_compare(s, p->target->project, &facts, info, &difference);
    if (r < 0)
        return error_set(err, r, "prove.failed", "cannot compare the settings of service %s", s->name);
    return r > 0 ? not_proved(p, s, err, "prove.wrong-settings", "%s", difference) : 0;
}

/* Its container as podman shows it now, kept for what is made current afterwards. *ret is borrowed from p->proof->inspections. */
static int look(const ProofContext *p, const ComposeService *s, const cJSON **ret, Error *err)
{
    cJSON *info = NULL;
    int r = inspect_settled(p, s, &info, err);

    if (r < 0)
        return r;
    if (map_put(p->proof->inspections, s->name, info) < 0) {
        cJSON_Delete(info);
        return error_set(err, ENOMEM, "prove.failed", "no memory");
    }
    *ret = info;
    return 0;
}

static int inspect_state(const ProofContext *p, const ComposeService *s, const cJSON **ret, ContainerState *ret_life,
                         Error *err)
{
    int r = look(p, s, ret, err);

    return r < 0 ? r : check_state(p, s, *ret, ret_life, err);
}

/* A service that this push does not change only has to be there still: its restarts of last month, or a camera that makes
 * it unhealthy today, are no reason to undo the push. One that its restart policy is just bringing back gets a moment. */
static int prove_kept(const ProofContext *p, const ComposeService *s, bool limited, Error *err)
{
    usec_t until = boottime_usec() + KEPT_WAIT_USEC;

    for (;;) {
        const cJSON *info;
        const char *status;
        int r = look(p, s, &info, err);

        if (r < 0)
            return r;
        status = json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status");
        if (str_equal(status, "running") || (str_equal(status, "exited") && container_is_one_shot(s)))
            /* a change that is limited to other services says nothing of this one's settings */
            return limited ? 0 : prove_settings(p, s, info, err);
        if (boottime_usec() > until)
            return not_proved(p, s, err, "prove.not-running", "it is not changed by this push, and its container is %s",
                              status ? status : "in an unknown state");
        usleep(POLL_USEC);
    }
}

/* 1 when time went by waiting for its health. */
static int prove_changed(const ProofContext *p, const ComposeService *s, Error *err)
{
    _cleanup_(container_health_done) ContainerHealth health = {};
    const cJSON *info;
    ContainerState state;
    int r = inspect_state(p, s, &info, &state, err);

    if (r == 0)
        r = prove_settings(p, s, info, err);
    if (r < 0)
        return r;
    health = container_health(s, info);
    if (!health.exists || state != CONTAINER_RUNNING)
        return 0;
    r = wait_healthy(p, s, &health, info, err);
    if (r < 0)
        return r;
    report_progress(p->report, "info", s->name, "%s is healthy", s->container_name);
    return 1;
}

static void free_inspection(void *value)
{
    cJSON_Delete(value);
}

/* Of the containers that this push made. */
static usec_t youngest_start(const ProofContext *p, const Journal *j)
{
    usec_t youngest = 0;

    for (size_t i = 0; i < p->target->project->n_services; i++) {
        const char *name = p->target->project->services[i].name;
        usec_t started = deploy_change_of(j, name) ? started_at(map_get(p->proof->inspections, name)) : 0;

        if (started > youngest)
            youngest = started;
    }
    return youngest;
}

static int check_all_alive(const ProofContext *p, const Journal *j, Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->target->project->n_services; i++) {
        const cJSON *info;
        ContainerState state;

        if (deploy_change_of(j, p->target->project->services[i].name))
            r = inspect_state(p, &p->target->project->services[i], &info, &state, err);
    }
    return r;
}

/* Until all were seen alive in one look that began when the youngest container had been up for the settle time; a death
 * meanwhile is seen at once, not at the end. `begun` is when the last look began. */
static int settle(const ProofContext *p, const Journal *j, usec_t settle_usec, usec_t begun, Error *err)
{
    usec_t end;
    int r = 0;

    while (r == 0 && begun < (end = youngest_start(p, j) + settle_usec)) {
        usec_t now = boottime_usec();

        if (now < end)
            usleep((useconds_t) (end - now < POLL_USEC ? end - now : POLL_USEC));
        begun = boottime_usec();
        r = check_all_alive(p, j, err);
    }
    return r;
}

static bool ran_before(const DeployPast *before, const char *container)
{
    for (size_t i = 0; i < before->n_observed; i++)
        if (str_equal(before->observed[i].name, container))
            return str_equal(before->observed[i].state, "running");
    return false;
}

/* 1 when time went by waiting for its health. */
static int prove_one(const ProofContext *p, const ProofScope *scope, const ComposeService *s, Error *err)
{
    if (deploy_change_of(scope->journal, s->name))
        return prove_changed(p, s, err);
    return !scope->limited || ran_before(scope->before, s->container_name) ? prove_kept(p, s, scope->limited, err) : 0;
}

int deploy_prove(const ProofContext *p, const ProofScope *scope, Error *err)
{
    const ComposeProject *project = p->target->project;
    usec_t begun = boottime_usec();
    int r = 0;

    map_free(p->proof->inspections);
    p->proof->inspections = map_new(free_inspection);
    if (!p->proof->inspections)
        return error_set(err, ENOMEM, "prove.failed", "no memory");
    for (size_t i = 0; r >= 0 && i < project->n_services; i++) {
        r = prove_one(p, scope, &project->services[i], err);
        if (r > 0) /* those before it may have died while it was waited for */
            begun = 0;
    }
    if (r >= 0)
        r = settle(p, scope->journal, scope->settle_usec, begun, err);
    if (r == 0)
        report_progress(p->report, "info", NULL, "%zu of %zu services proved", project->n_services,
                        project->n_services);
    return r;
}

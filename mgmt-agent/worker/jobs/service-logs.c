/* SPDX-License-Identifier: MIT */
/* What a service has written, by `podman logs`, which reads whatever log driver the container has. Each line is made harmless for
 * a terminal and freed of secrets here, before it leaves the box. A reader that follows sees the next container, too. */

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/podman/user-process.h"

#define PODMAN "/usr/bin/podman"
/* Of the lines of one message; each byte may take six in JSON. */
#define MESSAGE_BYTES (24 * 1024)
#define LOOK_AGAIN (2 * USEC_PER_SEC)
#define LOOKS_MAX 3
/* Podman may fail once because the container has just gone. */
#define FAILURES_MAX 3

typedef struct Logs {
    Deploy *d;
    const char *service;
    bool follow, live; /* live: it has begun to */
    uint64_t tail;
    char *since; /* a time, or NULL */
    usec_t until;

    char *container, *started; /* that is shown, and when it was started */
    usec_t last;               /* when the last line was written that was shown */
    size_t n_last;             /* lines of that time: what is written at once has one */
    usec_t shown;              /* both, when this run of podman began: the lines that it shows again */
    size_t n_shown;
    sd_event *event;
    sd_event_source *idle;
    cJSON *lines; /* not told yet */
    size_t bytes;
    bool any; /* from this container */
    Process *process;
    sd_event_source *look;
    unsigned looks; /* in a row that found the container ended while podman follows it still */
    bool stopped;   /* podman, by us */
    int status;
    bool timed_out;
} Logs;

static void logs_done(Logs *l)
{
    sd_event_source_disable_unref(l->idle);
    sd_event_unref(l->event);
    cJSON_Delete(l->lines);
    free(l->since);
    free(l->container);
    free(l->started);
}

static void tell(Logs *l)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("logs.lines");

    if (l->lines && m && json_add_item(m, "lines", TAKE_PTR(l->lines)) == 0)
        report_emit(m);
    l->bytes = 0;
}

/* Nothing more has come for now. */
static int on_idle(sd_event_source *source, void *userdata)
{
    (void) source;
    tell(userdata);
    return 0;
}

static void add_line(Logs *l, const char *line)
{
    _cleanup_(freep) char *copy = strdup(line), *safe = NULL, *text = NULL;

    if (!copy)
        return;
    text_drop_escapes(copy);
    safe = redact_text(copy);
    text = safe ? text_printable(safe) : NULL;
    if (!l->lines)
        l->lines = cJSON_CreateArray();
    if (!text || json_append(l->lines, cJSON_CreateString(text)) < 0)
        return;
    l->bytes += strlen(text) + 1;
    if (l->bytes >= MESSAGE_BYTES)
        tell(l);
}

/* Podman that follows may have shown the first lines of the next run already, if that came soon: told by their times. NULL: this
 * one has been shown. */
static const char *take_time(Logs *l, const char *line)
{
    const char *space = strchr(line, ' ');
    _cleanup_(freep) char *time = space ? strndup(line, (size_t) (space - line)) : NULL;
    usec_t at = 0;

    if (!time || rfc3339_parse(time, &at) < 0)
        return line; /* podman's own words */
    if (at < l->shown)
        return NULL;
    if (at == l->shown && l->n_shown > 0) {
        l->n_shown--;
        return NULL;
    }
    l->n_last = at == l->last ? l->n_last + 1 : 1;
    l->last = at;
    return space + 1;
}

static void on_line(Process *p, ProcessStream stream, const char *line, void *userdata)
{
    Logs *l = userdata;

    (void) p;
    (void) stream;
    const char *text = take_time(l, line);
    if (!text)
        return;
    l->any = true;
    add_line(l, text);
    if (sd_event_source_set_enabled(l->idle, SD_EVENT_ONESHOT) < 0)
        tell(l);
}

static void on_done(Process *p, int status, bool timed_out, void *userdata)
{
    Logs *l = userdata;

    (void) p;
    l->status = status;
    l->timed_out = timed_out;
    (void) sd_event_exit(l->event, 0);
}

static bool has_ended(Logs *l)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r = podman_inspect(l->d->box.podman, l->container, &info, NULL);
    const char *status = json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status");

    return r == -ENOENT || (r == 0 && str_equal(status, "exited"));
}

/* Podman follows for ever what ended just when it began to. */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    Logs *l = userdata;

    (void) source;
    (void) usec;
    l->looks = has_ended(l) ? l->looks + 1 : 0;
    if (l->looks >= LOOKS_MAX) {
        l->stopped = true;
        process_terminate(l->process);
        return 0;
    }
    return timer_arm(l->event, &l->look, LOOK_AGAIN, on_look, l);
}

/* One run of podman logs, to its end. */
static int show(Logs *l, Error *err)
{
    _cleanup_(freep) char *tail = str_format("--tail=%llu", (unsigned long long) l->tail);
    _cleanup_(freep) char *since = l->since ? str_format("--since=%s", l->since) : NULL;
    const char *argv[] = { PODMAN, "logs", "--timestamps", NULL, NULL, NULL, NULL, NULL };
    usec_t now = boottime_usec();
    ProcessSpec spec = podman_user_spec(&l->d->box.user, argv, l->until > now ? l->until - now : 1);
    _cleanup_(process_freep) Process *p = NULL;
    size_t n = 3;

    spec.line_max = LOG_LINE_MAX;
    spec.one_output = true;
    if (!tail || (l->since && !since))
        return -ENOMEM;
    if (!l->live)
        argv[n++] = tail;
    if (since)
        argv[n++] = since;
    if (l->live)
        argv[n++] = "--follow";
    argv[n] = l->container;
    l->any = false;
    int r = sd_event_new(&l->event);
    if (r >= 0)
        r = sd_event_add_defer(l->event, &l->idle, on_idle, l);
    if (r >= 0)
        r = sd_event_source_set_priority(l->idle, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_source_set_enabled(l->idle, SD_EVENT_OFF);
    if (r >= 0)
        r = process_spawn(l->event, &spec, on_line, on_done, l, &p, err);
    l->process = p;
    l->looks = 0;
    l->stopped = false;
    if (r >= 0 && l->live)
        r = timer_arm(l->event, &l->look, LOOK_AGAIN, on_look, l);
    if (r >= 0)
        r = sd_event_loop(l->event);
    l->process = p = process_free(p);
    tell(l);
    l->look = sd_event_source_disable_unref(l->look);
    l->idle = sd_event_source_disable_unref(l->idle);
    l->event = sd_event_unref(l->event);
    return r < 0 ? error_from_errno(err, r, "cannot run podman logs") : 0;
}

static const cJSON *get(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* What it was given is not shown, whatever it prints. */
static void hide_environment(const cJSON *info)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, get(get(info, "Config"), "Env")) {
        const char *text = cJSON_GetStringValue(item), *value = text ? strchr(text, '=') : NULL;
        _cleanup_(freep) char *key = value ? strndup(text, (size_t) (value - text)) : NULL;

        if (key && redact_key_is_secret(key))
            redact_add_secret(value + 1);
    }
}

static void hide_files(Deploy *d)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (box_try_env(&d->box) == 0 && d->box.agent_env && env_get(d->box.agent_env, "BOOTSTRAP"))
        redact_add_secret(env_get(d->box.agent_env, "BOOTSTRAP"));
    if (!path || env_load(path, &env, NULL) < 0)
        return;
    for (size_t i = 0; i < env_size(env); i++) {
        const EnvRule *rule = env_rule_find(env_key_at(env, i));

        if (rule ? rule->secret : redact_key_is_secret(env_key_at(env, i)))
            redact_add_secret(env_value_at(env, i));
    }
}

/* The one that runs; else the one of its own name, since a push renames what it replaces. */
static const ObservedContainer *choose(const ObservedContainer *all, size_t n, const char *service, const char *name)
{
    const ObservedContainer *found = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!str_equal(all[i].service, service))
            continue;
        if (str_equal(all[i].state, "running"))
            return &all[i];
        if (!found || str_equal(all[i].name, name))
            found = &all[i];
    }
    return found;
}

static int unknown(const Current *c, const ObservedContainer *all, size_t n, const char *service, Error *err)
{
    _cleanup_(strv_freep) char **names = NULL;
    _cleanup_(freep) char *list = NULL;

    for (size_t i = 0; i < n; i++)
        if (all[i].service && !strv_contains(names, all[i].service) && strv_add(&names, all[i].service) < 0)
            return -ENOMEM;
    if (names)
        strv_sort(names); /* containers that are made at once have no order */
    list = names ? strv_join(names, ", ") : NULL;
    if (current_find(c, service))
        return error_set(err, ENOENT, "container.missing", "service %.64s has no container, and so no log", service);
    return error_set(err, ENOENT, "container.unknown", "this box has no service \"%.64s\"; it has %s", service,
                     list ? list : "none");
}

/* Which container is the service's now: 1 another one, or the same that was started again; 0 what was shown already. */
static int find(Logs *l, Error *err)
{
    Deploy *d = l->d;
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    ObservedContainer *all = NULL;
    const CurrentService *s;
    size_t n = 0;
    int r = podman_list(d->box.podman, project_selected(), &all, &n, err);

    if (r < 0)
        return r;
    if (current_load(&current, NULL) < 0)
        current = NULL;
    s = current_find(current, l->service);
    const ObservedContainer *c = choose(all, n, l->service, s ? s->container : NULL);
    r = c ? podman_inspect(d->box.podman, c->id, &info, err) : unknown(current, all, n, l->service, err);
    if (r == 0) {
        const char *id = json_string(info, "Id"), *started = json_string(get(info, "State"), "StartedAt");

        r = !str_equal(id, l->container) || !str_equal(started, l->started);
        if (r > 0) {
            hide_environment(info);
            free(l->container);
            free(l->started);
            l->container = id ? strdup(id) : NULL;
            l->started = started ? strdup(started) : NULL;
            r = l->container && l->started ? 1 : -ENOMEM;
        }
    }
    observed_free_all(all, n);
    return r;
}

/* What follows is what was not shown, looked for from the log's beginning: podman that is asked for the last lines and follows goes
 * to the log's end when it has read them, and loses what was written in between. */
static int go_on(Logs *l)
{
    usec_t from = l->last == 0 && l->tail == 0 && !l->live ? realtime_usec() : l->last;
    char at[TIMESTAMP_SIZE];

    l->live = true;
    l->shown = l->last;
    l->n_shown = l->n_last;
    if (from == 0)
        return 0; /* what was asked for holds on */
    free(l->since);
    l->since = strdup(timestamp_format(from, at));
    return l->since ? 0 : -ENOMEM;
}

/* Until the service has a container that was not shown yet; when podman has failed, the one that is being shown will do. -ETIME:
 * there was none for as long as anybody may read. */
static int wait_for_next(Logs *l, bool failed, Error *err)
{
    bool told = false;

    while (boottime_usec() < l->until) {
        _cleanup_(error_done) Error why = {};
        int r = find(l, &why);

        if (r < 0 && r != -ENOENT)
            return error_set(err, r, error_id(&why), "%s", error_message(&why, r));
        if (r == 0 && failed) {
            usleep(LOOK_AGAIN);
            return go_on(l);
        }
        if (!told) {
            add_line(l, "-- its container has ended; what the next one writes follows here --");
            tell(l);
            told = true;
        }
        if (r > 0)
            return go_on(l);
        usleep(LOOK_AGAIN);
    }
    return error_set(err, ETIME, "logs.long", "a log is followed for %d hours at most: ask again", LOG_HOURS_MAX);
}

static int read_all(Logs *l, Error *err)
{
    unsigned failures = 0;
    int r = find(l, err);

    while (r >= 0) {
        r = show(l, err);
        if (r < 0)
            return r;
        if (l->timed_out)
            return error_set(err, ETIME, "logs.long", "a log is read for %d hours at most: ask again", LOG_HOURS_MAX);
        if (!l->stopped && (!WIFEXITED(l->status) || WEXITSTATUS(l->status) != 0))
            failures = l->any ? 1 : failures + 1;
        else
            failures = 0;
        if (failures >= FAILURES_MAX || (failures > 0 && !l->follow)) {
            _cleanup_(freep) char *ended = process_status_string(l->status, false);
            return error_set(err, EIO, "logs.failed", "podman logs ended with %s: its words are above",
                             ended ? ended : "an error");
        }
        if (!l->follow)
            return 0;
        r = l->live ? wait_for_next(l, failures > 0, err) : go_on(l);
    }
    return r;
}

/* "15m" before now, or a time; checked here, since it is a word on podman's command line. */
static int take_since(const char *text, char **ret, Error *err)
{
    usec_t ago, at;
    char buf[TIMESTAMP_SIZE];

    if (!text)
        return 0;
    if (duration_parse(text, &ago) == 0)
        at = realtime_usec() > ago ? realtime_usec() - ago : 0;
    else if (rfc3339_parse(text, &at) < 0)
        return error_set(err, EINVAL, "logs.since", "\"%.64s\" is no time: write 15m, 2h, or 2026-01-02T03:04:05Z",
                         text);
    *ret = strdup(timestamp_format(at, buf));
    return *ret ? 0 : -ENOMEM;
}

static int take_request(Logs *l, const cJSON *request, Error *err)
{
    const char *since = json_string(request, "since");
    int r;

    l->service = json_string(request, "service");
    l->follow = json_bool(request, "follow", false);
    l->tail = since ? LOG_TAIL_MAX : LOG_TAIL_DEFAULT;
    l->until = boottime_usec() + LOG_HOURS_MAX * USEC_PER_HOUR;
    if (!l->service)
        return error_set(err, EINVAL, "logs.service", "the request names no service");
    r = json_u64(request, "tail", &l->tail);
    if (r == -EINVAL || l->tail > LOG_TAIL_MAX)
        return error_set(err, EINVAL, "logs.tail", "the last %d lines can be asked for at most", LOG_TAIL_MAX);
    return take_since(since, &l->since, err);
}

/* Prints logs.lines, and logs.end with an `error` member when it was no good end; both without an id, which the agent knows. */
int job_logs(Deploy *d, const cJSON *request)
{
    _cleanup_(logs_done) Logs l = { .d = d };
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("logs.end");
    _cleanup_(error_done) Error err = {};
    int r = take_request(&l, request, &err);

    hide_files(d);
    if (r == 0)
        r = box_open_podman(&d->box, &err);
    if (r == 0)
        r = read_all(&l, &err);
    tell(&l);
    if (!m || (r < 0 && json_add_item(m, "error", json_from_error(&err, r)) < 0))
        return 1;
    report_emit(m);
    return r < 0;
}

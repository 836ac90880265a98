/* SPDX-License-Identifier: MIT */
/* When podman is asked, and what is done with its answer. */

#include "mgmt-agent/agent/service-watch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/service-watch-impl.h"
#include "lib/base/proc.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/worker-request.h"

/* What podman needs to restart a container by itself. */
#define SETTLE_USEC (3 * USEC_PER_SEC)
/* What ends together is looked at together. */
#define PAUSE_USEC (1 * USEC_PER_SEC)
#define REST_MIN_USEC (3 * USEC_PER_SEC)
#define REST_MAX_USEC (60 * USEC_PER_SEC)
#define RETRY_MIN_USEC (5 * USEC_PER_SEC)

void service_entry_done(ServiceEntry *e)
{
    sd_event_source_disable_unref(e->on_health);
    sd_event_source_disable_unref(e->on_folder);
    free(e->name);
    free(e->id);
    free(e->log);
    free(e->health);
    free(e->pid_file);
    free(e->cut_off);
    strv_free(e->owners);
    strv_free(e->ports);
    *e = (ServiceEntry) {};
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void arm(ServiceWatch *w)
{
    usec_t now = boottime_usec();
    int r = 0;

    if (w->ask_at == USEC_INFINITY)
        timer_disarm(w->timer);
    else
        r = timer_arm(w->agent->event, &w->timer, w->ask_at > now ? w->ask_at - now : 0, on_timer, w);
    if (r < 0)
        log_error("Cannot arm the timer of the service watch: %s", strerror(-r));
}

void service_watch_ask_in(ServiceWatch *w, usec_t delay)
{
    usec_t at = boottime_usec() + delay;

    if (w->asked > 0 && at < w->asked + w->rest)
        at = w->asked + w->rest;
    if (at >= w->ask_at)
        return;
    w->ask_at = at;
    arm(w);
}

/* Our own doing ends processes, too: it is looked at when it is done. */
static void on_change(bool process, void *userdata)
{
    ServiceWatch *w = userdata;

    if (process && !w->agent->deploying)
        service_watch_ask_in(w, PAUSE_USEC);
}

static const cJSON *facts_of(const cJSON *answer, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "services"))
        if (str_equal(json_string(item, "name"), name))
            return item;
    return NULL;
}

static int number(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(item) && item->valuedouble >= 0 ? item->valueint : 0;
}

static void replace(char **text, const char *with)
{
    free(*text);
    *text = with ? strdup(with) : NULL;
}

static void take_facts(ServiceEntry *e, const cJSON *facts)
{
    const char *id = json_string(facts, "id");

    if (id && !str_equal(id, e->id)) {
        replace(&e->id, id);
        service_renew(&e->record, false);
    }
    e->pid = number(facts, "pid");
    e->ticks = 0;
    (void) json_u64(facts, "startTicks", &e->ticks);
    replace(&e->health, json_string(facts, "health"));
    (void) json_u64(facts, "healthIntervalUsec", &e->health_interval);
    if (json_string(facts, "pidFile"))
        replace(&e->pid_file, json_string(facts, "pidFile"));
    if (!str_equal(json_string(facts, "state"), "running") || number(facts, "exitCode") != 0)
        e->exit_code = number(facts, "exitCode");
    if (json_string(facts, "log"))
        replace(&e->log, json_string(facts, "log"));
}

static bool is_alive(const ServiceEntry *e)
{
    return e->pid > 0 && e->ticks > 0 && process_start_ticks(e->pid) == e->ticks;
}

/* Without podman's word there is the kernel's. */
static bool note(ServiceEntry *e, const cJSON *facts, bool asked)
{
    ServiceRecord *r = &e->record, before = *r;
    ServiceFacts f;
    bool changed;

    if (asked)
        take_facts(e, facts);
    f = (ServiceFacts) {
        .status = asked         ? json_string(facts, "state")
                  : is_alive(e) ? "running"
                                : "created",
        .health = e->health,
        .alive = is_alive(e),
        .guessed = !asked,
        .stopped_by_user = json_bool(facts, "stoppedByUser", false),
        .restart_failed = json_bool(facts, "restartFailed", false),
        .out_of_memory = json_bool(facts, "outOfMemory", false),
        .cut_off = service_entry_is_cut_off(e),
        .exit_code = number(facts, "exitCode"),
        .restarts = asked ? (unsigned) number(facts, "restarts") : r->restarts_seen,
        .max_retries = e->max_retries,
        .policy = e->policy,
    };
    changed = service_note(r, &e->watch->times, &f, boottime_usec(), realtime_usec());
    if (changed)
        service_entry_log(e, &before);
    return changed;
}

static int add_message(cJSON *request, const char *service)
{
    cJSON *message = cJSON_CreateObject();
    _cleanup_(freep) char *version = str_format("local-%llu", (unsigned long long) (realtime_usec() / USEC_PER_MSEC));

    return version && json_add_item(request, "message", message) == 0 && json_add_string(message, "id", version) == 0 &&
                   json_add_string(message, "version", version) == 0 &&
                   json_add_string(message, "service", service) == 0
               ? json_add_string(request, "source", "local")
               : -ENOMEM;
}

static void run(ServiceWatch *w, const char *job, cJSON *request)
{
    const char *id = json_string(cJSON_GetObjectItemCaseSensitive(request, "message"), "id");
    _cleanup_(error_done) Error err = {};
    int r = json_add_string(request, WORKER_PROJECT, w->project);

    if (r == 0)
        r = agent_deploy(w->agent, job, id ? id : job, request, NULL, false, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Services that are down cannot be brought back yet");
    else
        w->agent->own_job = true;
}

/* Those that only have to be started, all of them at once. */
static int start_all(ServiceWatch *w, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *names = cJSON_CreateObject();
    usec_t again;
    int n = 0;

    if (!request || json_add_item(request, "services", names) < 0 || add_message(request, NULL) < 0)
        return 0;
    for (size_t i = 0; i < w->n; i++) {
        ServiceEntry *e = &w->entries[i];

        if (e->one_shot || service_next(&e->record, &w->times, now, &again) != SERVICE_STEP_START ||
            json_add_bool(names, e->name, true) < 0)
            continue;
        log_notice("Service %s is down: starting it again (try %u)", e->name, e->record.tries + 1);
        service_took(&e->record, &w->times, SERVICE_STEP_START, now);
        n++;
    }
    if (n > 0)
        run(w, "revive", request);
    return n;
}

static bool mend_one(ServiceWatch *w, usec_t now)
{
    usec_t again;

    for (size_t i = 0; i < w->n; i++) {
        ServiceEntry *e = &w->entries[i];
        ServiceStep step = e->one_shot ? SERVICE_STEP_NONE : service_next(&e->record, &w->times, now, &again);
        _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();

        /* that would write the journal anew, which says what is left to a person in another project */
        if (step == SERVICE_STEP_RECREATE && w->agent->journal.state == DEPLOY_RECOVERY)
            step = SERVICE_STEP_RESTART;
        if (step == SERVICE_STEP_NONE || !request || add_message(request, e->name) < 0)
            continue;
        log_notice("Service %s is %s: %s", e->name, service_state_to_string(e->record.state),
                   step == SERVICE_STEP_RECREATE ? "making its container anew" : "restarting it");
        service_took(&e->record, &w->times, step, now);
        run(w, step == SERVICE_STEP_RECREATE ? "recreate" : "restart", request);
        return true;
    }
    return false;
}

/* The start of an owner since which it is in what that one had before; 0: none. */
static uint64_t owner_left(const ServiceWatch *w, const ServiceEntry *e)
{
    for (size_t i = 0; i < w->n && !e->one_shot && is_alive(e); i++) {
        const ServiceEntry *owner = &w->entries[i];

        if (strv_contains(e->owners, owner->name) && is_alive(owner) && owner->ticks > e->ticks &&
            owner->ticks != e->followed_ticks)
            return owner->ticks;
    }
    return 0;
}

/* Somebody, or podman, has started an owner again: its guests would not notice that they are cut off. */
static bool follow_owner(ServiceWatch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        ServiceEntry *e = &w->entries[i];
        uint64_t left = owner_left(w, e);
        _cleanup_(cJSON_Deletep) cJSON *request = left > 0 ? cJSON_CreateObject() : NULL;

        if (!request || add_message(request, e->name) < 0)
            continue;
        log_notice("Service %s is cut off: what it shares with another one was started again without it; restarting it",
                   e->name);
        e->followed_ticks = left;
        run(w, "restart", request);
        return true;
    }
    return false;
}

/* After a rollback that failed, for a person; which is of one project, and keeps none of another from coming back. */
static bool is_left_as_it_is(const ServiceWatch *w)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);

    return w->agent->journal.state == DEPLOY_RECOVERY && journal_is_of_selected(&w->agent->journal);
}

/* What is due, on what a look has just shown. */
static void decide(ServiceWatch *w)
{
    usec_t now = boottime_usec(), again;

    w->ask_at = USEC_INFINITY;
    if (!w->error && !is_left_as_it_is(w) && (start_all(w, now) > 0 || mend_one(w, now) || follow_owner(w)))
        return; /* its end brings us back */
    for (size_t i = 0; i < w->n; i++)
        if (!w->entries[i].one_shot &&
            service_next(&w->entries[i].record, &w->times, now, &again) == SERVICE_STEP_NONE && again != USEC_INFINITY)
            service_watch_ask_in(w, again > now + PAUSE_USEC ? again - now : PAUSE_USEC);
    if (w->retry > 0)
        service_watch_ask_in(w, w->retry);
    arm(w);
}

static void take_answer(ServiceWatch *w, const cJSON *answer)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    bool asked = answer && !error, changed = false;

    if (asked && !str_equal(json_string(answer, "deployment"), w->followed)) {
        service_watch_continue(w);
        return;
    }
    w->retry = asked ? 0 : w->retry == 0 ? RETRY_MIN_USEC : w->retry * 2 < REST_MAX_USEC ? w->retry * 2 : REST_MAX_USEC;
    replace(&w->error, asked                           ? NULL
                       : json_string(error, "message") ? json_string(error, "message")
                                                       : "the worker has not answered");
    for (size_t i = 0; i < w->n; i++)
        if (!w->entries[i].one_shot)
            changed = note(&w->entries[i], facts_of(answer, w->entries[i].name), asked) || changed;
    if (asked)
        service_watch_follow_found(w, answer);
    service_watch_arm_health(w);
    if (changed) {
        service_watch_save(w);
        agent_tell_cloud(w->agent);
    }
    service_watch_tell_manager(w->agent->services);
    decide(w);
}

static void on_facts(Runner *r, const cJSON *message, void *userdata)
{
    ServiceWatch *w = userdata;

    (void) r;
    if (!str_equal(json_string(message, "type"), "worker.facts"))
        return;
    cJSON_Delete(w->answer);
    w->answer = cJSON_Duplicate(message, true);
}

static void on_asked(Runner *r, int ok, int exit_status, void *userdata)
{
    ServiceWatch *w = userdata;
    _cleanup_(cJSON_Deletep) cJSON *answer = TAKE_PTR(w->answer);

    (void) r;
    (void) ok;
    (void) exit_status;
    w->runner = runner_free(w->runner);
    if (agent_is_busy(w->agent)) /* then it is of the past */
        service_watch_ask_in(w, PAUSE_USEC);
    else
        take_answer(w, answer);
}

/* What happens again and again is looked at less and less often. */
static void note_asked(ServiceWatch *w)
{
    usec_t now = boottime_usec(), longest = REST_MAX_USEC / w->pace;
    bool again = w->asked > 0 && now - w->asked < 3 * w->rest;

    w->rest = !again ? REST_MIN_USEC : w->rest * 2 < longest ? w->rest * 2 : longest;
    if (w->rest < REST_MIN_USEC)
        w->rest = REST_MIN_USEC;
    w->asked = now;
    w->ask_at = USEC_INFINITY;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    ServiceWatch *w = userdata;
    _cleanup_(cJSON_Deletep) cJSON *nothing = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r;

    (void) source;
    (void) usec;
    if (w->runner || w->n == 0 || agent_is_busy(w->agent) || !w->agent->boot.done)
        return 0;                             /* service_watch_continue() comes again */
    if (agent_services_are_asked(w->agent)) { /* one project after another */
        w->ask_at = boottime_usec() + PAUSE_USEC;
        arm(w);
        return 0;
    }
    note_asked(w);
    r = nothing && json_add_string(nothing, WORKER_PROJECT, w->project) == 0
            ? runner_start(w->agent->event, &w->agent->runner_options, "facts", nothing, on_facts, on_asked, w,
                           &w->runner, &err)
            : -ENOMEM;
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot look at the services yet");
        service_watch_ask_in(w, REST_MAX_USEC);
    }
    return 0;
}

void service_watch_take_settings(ServiceWatch *w)
{
    if (!w || w->times.stop_alarm == w->agent->stop_alarm)
        return;
    w->times.stop_alarm = w->agent->stop_alarm;
    for (size_t i = 0; i < w->n; i++)
        if (w->entries[i].record.state == SERVICE_BY_HAND)
            service_watch_ask_in(w, PAUSE_USEC);
}

void service_watch_continue(ServiceWatch *w)
{
    if (!w || agent_is_busy(w->agent) || !w->agent->boot.done)
        return;
    service_watch_follow(w);
    service_watch_arm_health(w);
    service_watch_arm_ports(w);
    if (w->ask_at != USEC_INFINITY)
        arm(w);
}

bool service_watch_is_asking(const ServiceWatch *w)
{
    return w && w->runner;
}

ServiceWatch *service_watch_free(ServiceWatch *w)
{
    if (!w)
        return NULL;
    runner_free(w->runner);
    runner_free(w->health_runner);
    sd_event_source_disable_unref(w->health_timer);
    sd_event_source_disable_unref(w->ports_timer);
    manual_changes_free(w->processes);
    sd_event_source_disable_unref(w->timer);
    for (size_t i = 0; i < w->n; i++)
        service_entry_done(&w->entries[i]);
    for (size_t i = 0; i < w->n_removed; i++)
        service_entry_done(&w->removed[i]);
    cJSON_Delete(w->answer);
    free(w->followed);
    free(w->version);
    free(w->error);
    free(w->project);
    free(w);
    return NULL;
}

int service_watch_new(Agent *a, const char *project, unsigned pace, ServiceWatch **ret, Error *err)
{
    _cleanup_(service_watch_freep) ServiceWatch *w = calloc(1, sizeof(*w));
    int r;

    if (!w || (project && !(w->project = strdup(project))))
        return error_set(err, ENOMEM, "agent.start", "no memory");
    w->agent = a;
    w->pace = pace;
    w->ask_at = USEC_INFINITY;
    w->times = (ServiceTimes) {
        .settle = SETTLE_USEC,
        .patience = USEC_PER_MINUTE / pace,
        .loop_window = 5 * USEC_PER_MINUTE / pace,
        .well_after = USEC_PER_MINUTE / pace,
        .unit = USEC_PER_SEC / pace,
        .stop_alarm = a->stop_alarm,
    };
    r = manual_changes_new(a->event, on_change, w, &w->processes);
    if (r < 0)
        return error_set(err, r, "agent.start", "cannot start the service watch: %s", strerror(-r));
    service_watch_continue(w);
    *ret = TAKE_PTR(w);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Settings in, reports out, and the messages of those who ask. */

#include <errno.h>
#include <string.h>

#include "env/env-rules.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch-impl.h"
#include "mgmt-agent/state/update-lock.h"
#include "mgmt-agent/state/worker-request.h"

/* A box that was never claimed has neither file, and nothing to update. */
static int load_env(const char *name, EnvFile **ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(name);
    int r;

    if (!path)
        return error_set(err, ENOMEM, "system.error", "no memory");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    r = env_load(path, ret, err);
    return r;
}

int watch_load_config(const Watch *w, WatchConfig *ret, Error *err)
{
    _cleanup_(env_freep) EnvFile *agent = NULL;
    _cleanup_(env_freep) EnvFile *secbox = NULL;
    int r = load_env(AGENT_ENV_PATH, &agent, err);

    if (r == 0)
        r = load_env(SECBOX_ENV_PATH, &secbox, err);
    if (r == 0)
        r = watch_config_read(agent, secbox, ret, err);
    if (r == 0 && w->interval > 0)
        ret->interval = w->interval;
    return r;
}

static int add_time(cJSON *o, const char *key, usec_t at)
{
    char text[TIMESTAMP_SIZE];

    return at == 0 || at == USEC_INFINITY ? 0 : json_add_string(o, key, timestamp_format(at, text));
}

static int add_settings(const Watch *w, cJSON *o)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(error_done) Error err = {};
    usec_t now = realtime_usec();
    int r = watch_load_config(w, &c, &err);

    if (r < 0)
        return json_add_item(o, "error", json_from_error(&err, r));
    return json_add_int(o, "intervalSeconds", (int) (c.interval / USEC_PER_SEC)) < 0 ||
                   json_add_int(o, "coolDownSeconds", (int) (c.cool_down / USEC_PER_SEC)) < 0 ||
                   json_add_bool(o, "monitorOnly", c.monitor_only) < 0 || json_add_string(o, "scope", c.scope) < 0 ||
                   json_add_bool(o, "windowOpen", windows_are_open(c.windows, c.n_windows, now)) < 0 ||
                   (c.n_windows > 0 && add_time(o, "windowOpensAt", windows_next(c.windows, c.n_windows, now)) < 0) ||
                   add_time(o, "nextCheckAt", watch_next_check(&c, w->state.last_check, w->started, w->random, now)) < 0
               ? -ENOMEM
               : 0;
}

/* With what holds news back that are not taken, so that nobody has to guess. */
static int add_entry(const WatchConfig *c, const WatchEntry *e, const FailedImages *failed, cJSON *services)
{
    cJSON *o = watch_entry_to_json(e);
    const char *why = NULL;
    usec_t at;

    if (c)
        (void) watch_decide(c, e, failed, false, realtime_usec(), &at, &why);
    return json_append(services, o) == 0 ? json_add_string(o, "held", why) : -ENOMEM;
}

static int add_lock(cJSON *o)
{
    _cleanup_(freep) char *holder = NULL;

    return update_lock_read(&holder) > 0 ? json_add_string(o, "lock", holder ? holder : "somebody") : 0;
}

static int add_lists(const Watch *w, cJSON *o)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(failed_done) FailedImages failed = {};
    bool decides = watch_load_config(w, &c, NULL) == 0;
    cJSON *services = cJSON_CreateArray();
    int r = json_add_item(o, "services", services);

    failed_load(&failed);
    for (size_t i = 0; r == 0 && i < w->state.n_entries; i++)
        r = add_entry(decides ? &c : NULL, &w->state.entries[i], &failed, services);
    return r == 0 ? json_add_item(o, "failed", failed_to_json(&failed)) : r;
}

size_t watch_count_news(const Watch *w)
{
    size_t n = 0;

    for (size_t i = 0; w && i < w->state.n_entries; i++)
        n += w->state.entries[i].status == WATCH_NEW;
    return n;
}

cJSON *watch_make_report(Watch *w, const char *id, const cJSON *results)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("updates.report");
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(watch_config_done) WatchConfig c = {};
    cJSON *o = cJSON_CreateObject();

    /* asked right after a push, it knows of it */
    if (w->round.step == ROUND_NONE && watch_load_config(w, &c, NULL) == 0 && current_load(&current, NULL) == 0 &&
        watch_state_follow(&w->state, &c, current) < 0) {
        cJSON_Delete(o);
        return NULL;
    }
    if (!m || json_add_item(m, "updates", o) < 0 || json_add_string(m, "id", id) < 0 ||
        json_add_string(o, "project", w->project) < 0 || add_settings(w, o) < 0 ||
        add_time(o, "lastCheckAt", w->state.last_check) < 0 ||
        json_add_bool(o, "busy", w->round.step != ROUND_NONE) < 0 || add_lock(o) < 0 || add_lists(w, o) < 0)
        return NULL;
    if (results && json_add_item(o, "results", cJSON_Duplicate(results, 1)) < 0)
        return NULL;
    return TAKE_PTR(m);
}

/* The one that the message is about; NULL when it was answered with an error. */
static Watch *watch_meant(const Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    const char *project = NULL;
    int r = agent_project_of(message, &project, &err);
    Watch *w = r == 0 ? agent_watch_of(a, project) : NULL;

    if (r == 0 && !w)
        r = error_set(&err, ENOENT, "project.unknown", "this box has no project %s", project);
    if (r < 0)
        control_send_error(c, json_string(message, "id"), &err, r);
    return w;
}

static void report_to(Watch *w, ControlClient *c, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *report = watch_make_report(w, json_string(message, "id"), NULL);

    if (report)
        control_send(c, report);
}

void watch_handle_get(Agent *a, ControlClient *c, const cJSON *message)
{
    Watch *w = watch_meant(a, c, message);

    if (!w)
        return;
    report_to(w, c, message);
    if (w->complaint && w->round.step == ROUND_NONE) /* whoever mends the settings looks whether they are right */
        watch_arm(w);
}

/* Whether it may be given images: in a rollback that failed all is left to a person, and what is stopped stays so. */
static int check_may_change(const Watch *w, Error *err)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);

    if (w->agent->journal.state == DEPLOY_RECOVERY)
        return error_set(err, EBUSY, "deploy.recovery",
                         "a rollback failed on this box; push a compose file, or look at what runs, "
                         "before images are changed");
    if (project_is_stopped())
        return error_set(err, EPERM, "project.stopped",
                         "project %s is stopped; start it before its images are updated: secboxctl start %s",
                         w->project, w->project);
    return 0;
}

static int take_services(Watch *w, const cJSON *message, char ***ret, Error *err)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(message, "services"), *item;

    cJSON_ArrayForEach(item, services) {
        const char *name = cJSON_GetStringValue(item);

        if (!name || !watch_state_entry(&w->state, name))
            return error_set(err, ENOENT, "update.no-service",
                             "there is no service '%.60s' on this box; `secboxctl updates` shows them",
                             name ? name : "");
        if (strv_length(*ret) >= COMPOSE_SERVICES_MAX || strv_add(ret, name) < 0)
            return error_set(err, ENOMEM, "update.no-service", "too many services are named");
    }
    return 0;
}

/* It begins when the round, or the push, that is under way has ended. */
void watch_handle_check(Agent *a, ControlClient *c, const cJSON *message)
{
    Watch *w = watch_meant(a, c, message);
    const char *id = json_string(message, "id");
    _cleanup_(cJSON_Deletep) cJSON *fresh =
        w ? watch_make_report(w, id, NULL) : NULL; /* knows of services that were just pushed */
    _cleanup_(error_done) Error err = {};
    Round order = { .ask = true, .order = true, .force = json_bool(message, "force", false), .asker = c };
    int r = fresh ? 0 : -ENOMEM;

    if (!w)
        return;
    if (w->waiting.id)
        r = error_set(&err, EBUSY, "agent.busy", "another such order waits already; ask again in a moment");
    else if (r == 0)
        r = check_may_change(w, &err);
    if (r == 0)
        r = take_services(w, message, &order.only, &err);
    if (r == 0 && !(order.id = strdup(id)))
        r = -ENOMEM;
    if (r < 0) {
        round_done(&order);
        control_send_error(c, id, &err, r);
        return;
    }
    order.all = !order.only;
    w->waiting = order;
    if (w->round.step == ROUND_NONE)
        watch_arm(w);
}

/* Whoever asks is told of this one change alone, as of a push; nothing is looked up. */
static cJSON *make_undo(const Watch *w, const cJSON *message, const char *service)
{
    _cleanup_(freep) char *version = str_format("local-%llu", (unsigned long long) (realtime_usec() / USEC_PER_MSEC));
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    cJSON *m = message_new("image.update"), *images = cJSON_CreateArray(), *image = cJSON_CreateObject();
    int l = json_append(images, image), r = json_add_item(o, "message", m), k = json_add_item(o, "images", images);

    if (!version || r < 0 || k < 0 || l < 0 || json_add_string(m, "id", json_string(message, "id")) < 0 ||
        json_add_string(m, "version", version) < 0 || json_add_string(image, "service", service) < 0 ||
        json_add_bool(image, "undo", true) < 0 || json_add_string(o, "source", "local") < 0 ||
        json_add_string(o, WORKER_PROJECT, w->project) < 0)
        return NULL;
    return TAKE_PTR(o);
}

void watch_handle_undo(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id"), *service = json_string(message, "service");
    Watch *w = watch_meant(a, c, message);
    _cleanup_(cJSON_Deletep) cJSON *fresh =
        w ? watch_make_report(w, id, NULL) : NULL; /* knows of what was just pushed */
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    int r = fresh ? 0 : -ENOMEM;

    if (!w)
        return;
    if (agent_is_busy(a))
        r = error_set(&err, EBUSY, "deploy.busy", "another change is under way; wait for its result");
    else if (r == 0)
        r = check_may_change(w, &err);
    if (r == 0 && !watch_state_entry(&w->state, service))
        r = error_set(&err, ENOENT, "update.no-service",
                      "there is no service '%.60s' on this box; `secboxctl updates` shows them", service);
    if (r == 0) {
        request = make_undo(w, message, service);
        r = request ? agent_deploy(a, "update", id, request, c, false, &err) : -ENOMEM;
    }
    if (r < 0)
        control_send_error(c, id, &err, r);
}

void watch_handle_forget(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id");
    Watch *w = watch_meant(a, c, message);
    _cleanup_(error_done) Error err = {};
    int r = 0;

    if (!w)
        return;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    /* the worker may be writing to the same list */
    if (a->deploying)
        r = error_set(&err, EBUSY, "deploy.busy", "a change is under way; wait for its result");
    if (r == 0)
        r = failed_forget(json_string(message, "digest"), &err);
    if (r < 0) {
        control_send_error(c, id, &err, r);
        return;
    }
    log_notice("What failed with %s may be tried again", json_string(message, "digest"));
    report_to(w, c, message);
}

void watch_handle_hold(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id"), *holder = json_string(message, "holder");
    Watch *w = watch_meant(a, c, message);
    _cleanup_(error_done) Error err = {};
    int r;

    if (!w)
        return;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    r = holder ? update_lock_take(holder, &err) : update_lock_release(&err);
    if (r < 0) {
        control_send_error(c, id, &err, r);
        return;
    }
    log_notice("Updates%s%s are %s%s", w->project ? " of project " : "", w->project ? w->project : "",
               holder ? "held by " : "not held any more", holder ? holder : "");
    report_to(w, c, message);
}

static void take_halted(Watch *w, const cJSON *digests)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    int r = watch_state_note_halted(&w->state, digests);

    if (r < 0)
        log_warning("Out of memory noting which rollouts have halted");
    if (r <= 0)
        return;
    (void) watch_save(w);
    watch_arm(w);
}

void watch_note_halted(Watch *w, const cJSON *digests)
{
    if (w)
        take_halted(w, digests);
}

void watch_take_halted(Watch *w, const Watch *from)
{
    _cleanup_(cJSON_Deletep) cJSON *digests = cJSON_CreateArray();
    int r = digests ? 0 : -ENOMEM;

    for (char *const *digest = from ? from->state.halted : NULL; r == 0 && digest && *digest; digest++)
        r = json_append(digests, cJSON_CreateString(*digest));
    if (r == 0)
        take_halted(w, digests);
}

void watch_handle_halted(Agent *a, ControlClient *c _unused_, const cJSON *message)
{
    const cJSON *digests = cJSON_GetObjectItemCaseSensitive(message, "digests");

    watch_note_halted(a->watch, digests);
    project_watches_note_halted(a, digests);
}

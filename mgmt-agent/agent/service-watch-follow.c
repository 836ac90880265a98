/* SPDX-License-Identifier: MIT */
/* pidfds of first processes; and inotify(7) for what no process tells: the result of a health check, which podman leaves in a file,
 * and that a container which does not run is started by somebody. */

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "compose/model/project.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/agent/service-watch-impl.h"
#include "mgmt-agent/state/project.h"
#include "lib/base/proc.h"

#define HEALTH_FILE "healthcheck.log"
#define HEALTH_FILE_MAX (256 * 1024)
#define PAUSE_USEC (1 * USEC_PER_SEC)

static char *parent(const char *path, int levels)
{
    _cleanup_(freep) char *copy = path ? strdup(path) : NULL;

    for (; copy && levels > 0; levels--) {
        char *slash = strrchr(copy, '/');

        if (!slash || slash == copy)
            return NULL;
        *slash = '\0';
    }
    return TAKE_PTR(copy);
}

/* The file is podman's, but whoever is podman's user may write it: a wrong one costs a look. */
static bool health_has_changed(const ServiceEntry *e, const char *folder)
{
    _cleanup_(freep) char *path = path_join(folder, HEALTH_FILE);
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len = 0;

    return path && file_read(path, HEALTH_FILE_MAX, &text, &len, NULL) == 0 &&
           json_parse_object(text, len, &o, NULL) == 0 && json_string(o, "Status") &&
           !str_equal(json_string(o, "Status"), e->health);
}

static int on_health(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    ServiceEntry *e = userdata;
    _cleanup_(freep) char *folder = parent(e->pid_file, 2);

    (void) source;
    if (event->len == 0 || !str_equal(event->name, HEALTH_FILE))
        return 0;
    service_entry_checked(e);
    if (folder && health_has_changed(e, folder))
        service_watch_ask_in(e->watch, PAUSE_USEC);
    return 0;
}

static int on_folder(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    ServiceEntry *e = userdata;

    (void) event;
    e->on_folder = sd_event_source_disable_unref(source); /* one look is enough */
    service_watch_ask_in(e->watch, PAUSE_USEC);
    return 0;
}

/* PIDFILE is RUNROOT/…/ID/userdata/pidfile; the folder is a new one after each boot. */
static void follow_health(ServiceEntry *e)
{
    _cleanup_(freep) char *folder = parent(e->pid_file, 2);
    int r;

    e->on_health = sd_event_source_disable_unref(e->on_health);
    if (!folder || !e->health)
        return;
    r = sd_event_add_inotify(e->watch->agent->event, &e->on_health, folder, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR,
                             on_health, e);
    if (r < 0)
        log_debug("Cannot watch the health of %s: %s", e->name, strerror(-r));
}

static void follow_folder(ServiceEntry *e, const char *folder)
{
    bool runs =
        e->record.seen == SERVICE_RUNNING || e->record.seen == SERVICE_LOOPING || e->record.seen == SERVICE_UNHEALTHY;
    int r = 0;

    e->on_folder = sd_event_source_disable_unref(e->on_folder);
    if (folder && !runs)
        r = sd_event_add_inotify(e->watch->agent->event, &e->on_folder, folder,
                                 IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE | IN_ONLYDIR, on_folder, e);
    if (r < 0)
        log_debug("Cannot watch for a start of %s: %s", e->name, strerror(-r));
}

void service_watch_follow_found(ServiceWatch *w, const cJSON *facts)
{
    _cleanup_(current_freep) Current *found = current_from_json(facts);

    manual_changes_follow(w->processes, found);
    for (size_t i = 0; i < w->n; i++) {
        ServiceEntry *e = &w->entries[i];
        const CurrentService *s = current_find(found, e->name);

        if (e->one_shot)
            continue;
        follow_health(e);
        if (s)
            follow_folder(e, s->static_dir);
    }
}

static void read_policy(ServiceEntry *e, const cJSON *config)
{
    const char *restart = json_string(config, "restart");
    const char *limit = restart ? strchr(restart, ':') : NULL;
    uint64_t n = 0;

    e->policy = service_policy_from_string(restart);
    e->max_retries = limit && str_to_u64(limit + 1, 0, UINT32_MAX, &n) == 0 ? (unsigned) n : 0;
}

static int read_owners(ServiceEntry *e, const cJSON *config)
{
    int r = 0;

    for (size_t i = 0; r == 0 && compose_shared_keys[i]; i++) {
        const char *mode = json_string(config, compose_shared_keys[i]);

        if (mode && str_starts(mode, "service:"))
            r = strv_add(&e->owners, mode + strlen("service:"));
    }
    return r;
}

static int make_entry(ServiceWatch *w, ServiceEntry *e, const CurrentService *s, usec_t since)
{
    *e = (ServiceEntry) { .watch = w,
                          .one_shot = !current_service_runs(s),
                          .pid = s->pid,
                          .ticks = s->start_ticks,
                          .health_interval = s->health_interval,
                          .health_at = boottime_usec(),
                          .record = { .since = since } };
    e->record.state = e->record.seen = e->one_shot ? SERVICE_ENDED : SERVICE_RUNNING;
    read_policy(e, s->config);
    return json_set(&e->name, s->name ? s->name : "") < 0 || json_set(&e->id, s->id ? s->id : "") < 0 ||
                   json_set(&e->pid_file, s->pid_file) < 0 || json_set(&e->health, s->health) < 0 ||
                   read_owners(e, s->config) < 0 || service_entry_take_ports(e, s) < 0
               ? -ENOMEM
               : 0;
}

/* What a service went through goes on with it, unless another deployment has made it another container. */
static void keep_record(ServiceEntry *e, ServiceEntry *old, size_t n, bool deployed)
{
    for (size_t i = 0; i < n; i++) {
        if (!str_equal(old[i].name, e->name) || old[i].one_shot != e->one_shot)
            continue;
        e->record = old[i].record;
        e->exit_code = old[i].exit_code;
        e->log = TAKE_PTR(old[i].log);
        if (str_equal(old[i].id, e->id)) {
            e->health_at = old[i].health_at;
            e->health_by_us = old[i].health_by_us;
        } else
            service_renew(&e->record, deployed);
    }
}

static bool goes_on(const ServiceWatch *w, const ServiceEntry *old)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_equal(w->entries[i].name, old->name) && w->entries[i].one_shot == old->one_shot)
            return true;
    return false;
}

/* Entries of the deployment before; what they gave to those of this one is gone from them. */
static void drop(ServiceWatch *w, ServiceEntry *old, size_t n)
{
    size_t before = w->n_removed;

    service_watch_forget_removed(w);
    for (size_t i = 0; i < n; i++) {
        if (!goes_on(w, &old[i]))
            (void) service_watch_remove(w, &old[i]);
        service_entry_done(&old[i]);
    }
    if (w->n_removed == before)
        return;
    service_watch_save(w);
    if (agent_services_of(w->agent, w->project) == w) /* not while it is made */
        agent_tell_cloud(w->agent);
}

static void rebuild(ServiceWatch *w, const Current *current)
{
    ServiceEntry *old = calloc(COMPOSE_SERVICES_MAX, sizeof(*old));
    _cleanup_(services_file_done) ServicesFile remembered = {};
    bool first = !w->followed, deployed = !str_equal(w->version, current->version);
    usec_t since = current->at > 0 ? current->at : realtime_usec();
    size_t n_old = w->n;

    if (!old)
        return;
    memcpy(old, w->entries, sizeof(w->entries));
    w->n = 0;
    if (first)
        services_file_load(&remembered);
    for (size_t i = 0; i < current->n_services && w->n < COMPOSE_SERVICES_MAX; i++) {
        ServiceEntry *e = &w->entries[w->n];

        if (make_entry(w, e, &current->services[i], since) < 0) {
            service_entry_done(e);
            break;
        }
        keep_record(e, old, n_old, deployed);
        service_watch_recall(e, &remembered);
        w->n++;
    }
    if (first)
        service_watch_recall_removed(w, &remembered);
    drop(w, old, n_old);
    free(old);
    for (size_t i = 0; i < w->n; i++)
        follow_health(&w->entries[i]);
}

static bool is_gone(const ServiceEntry *e)
{
    return !e->one_shot && (e->pid <= 0 || process_start_ticks(e->pid) != e->ticks);
}

/* Nothing of it is to run, and nothing ails it: until it is started, and looked at as after a deployment. */
static void rest(ServiceWatch *w)
{
    if (!w->followed)
        return;
    for (size_t i = 0; i < w->n; i++)
        service_entry_done(&w->entries[i]);
    w->n = 0;
    w->ask_at = USEC_INFINITY;
    free(w->followed);
    free(w->version);
    w->followed = w->version = NULL;
    manual_changes_follow(w->processes, NULL);
    service_watch_save(w);
}

void service_watch_follow(ServiceWatch *w)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    _cleanup_(current_freep) Current *current = NULL;
    const char *id;
    bool deployed;

    if (project_is_stopped()) {
        rest(w);
        return;
    }
    if (current_load(&current, NULL) < 0 || !current)
        return;
    id = current->id ? current->id : "";
    deployed = !str_equal(id, w->followed);
    if (deployed) {
        rebuild(w, current);
        free(w->followed);
        free(w->version);
        w->followed = strdup(id);
        w->version = current->version ? strdup(current->version) : NULL;
        manual_changes_follow(w->processes, current);
    }
    for (size_t i = 0; i < w->n; i++) {
        ServiceState seen = w->entries[i].record.seen;
        bool known = seen == SERVICE_BY_HAND || seen == SERVICE_ENDED; /* not to run, and that is no news */
        bool gone = is_gone(&w->entries[i]);

        /* what was just done may have helped, or have started what somebody had stopped */
        if (service_in_trouble(&w->entries[i].record) || (gone && !known) || (deployed && known && !gone))
            service_watch_ask_in(w, PAUSE_USEC);
    }
}

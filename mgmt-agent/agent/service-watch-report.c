/* SPDX-License-Identifier: MIT */
/* What is said of services, to people and to the cloud, and what is remembered over a restart of the agent. */

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/service-watch-impl.h"
#include "mgmt-agent/state/project.h"
#include "lib/base/proc.h"

#define LOG_SAID_MAX 2000
#define SUMMARY_MAX 4096

/* The end of it tells the most. */
static const char *log_end(const char *log)
{
    size_t len = log ? strlen(log) : 0;

    while (len > 0 && log[len - 1] == '\n')
        len--;
    if (!log || len <= LOG_SAID_MAX)
        return log;
    log = strchr(log + len - LOG_SAID_MAX, '\n');
    return log ? log + 1 : "";
}

static bool is_forgotten(const ServiceRecord *r)
{
    return service_in_trouble(r) && r->trouble == SERVICE_BY_HAND;
}

/* Entries as they are told. What they point to is borrowed: from the entries, and `troubles`, a place for each. */
static void tell(const ServiceEntry *entries, size_t n, ServiceStatus *ret, ServiceTrouble *troubles)
{
    for (size_t i = 0; i < n; i++) {
        const ServiceEntry *e = &entries[i];
        const ServiceRecord *r = &e->record;

        ret[i] = (ServiceStatus) {
            .name = e->name,
            .state = (char *) service_state_to_string(r->state),
            .since = r->since,
            .trouble = r->trouble == SERVICE_UNKNOWN ? NULL : &troubles[i],
        };
        troubles[i] = (ServiceTrouble) {
            .what = (char *) service_state_to_string(r->trouble),
            .since = r->trouble_since,
            .until = r->trouble_until,
            .exit_code = e->exit_code,
            .restarts = (int) r->restarts,
            .error = !service_in_trouble(r) ? NULL
                     : e->watch->error      ? e->watch->error
                     : r->cut_off           ? e->cut_off
                                            : NULL,
            .cut_off = service_in_trouble(r) && r->cut_off,
            .log = (char *) log_end(e->log),
        };
    }
}

static cJSON *describe(const ServiceWatch *w, bool with_removed)
{
    ServiceStatus all[2 * COMPOSE_SERVICES_MAX] = {};
    ServiceTrouble troubles[2 * COMPOSE_SERVICES_MAX];
    size_t n = w ? w->n : 0, n_removed = w && with_removed ? w->n_removed : 0;

    if (n > 0)
        tell(w->entries, n, all, troubles);
    if (n_removed > 0)
        tell(w->removed, n_removed, all + n, troubles + n);
    return service_statuses_to_json(all, n + n_removed);
}

bool service_watch_ended_by_itself(const ServiceWatch *w, const char *service)
{
    for (size_t i = 0; w && i < w->n; i++) {
        ServiceState state = w->entries[i].record.state;

        if (str_equal(w->entries[i].name, service))
            return state == SERVICE_ENDED || state == SERVICE_DOWN || state == SERVICE_LOOPING;
    }
    return false;
}

cJSON *service_watch_describe(const ServiceWatch *w)
{
    return describe(w, false);
}

cJSON *service_watch_describe_all(const ServiceWatch *w)
{
    return describe(w, true);
}

/* With one digit behind the point: more would only make differences. */
static int add_number(cJSON *o, const char *key, double n)
{
    return cJSON_AddNumberToObject(o, key, (double) (long long) (n * 10 + 0.5) / 10) ? 0 : -ENOMEM;
}

/* What its control group says; nothing where podman could make none. */
static int add_usage(ServiceEntry *e, cJSON *o)
{
    ContainerValues now;

    if (e->pid <= 0 || process_start_ticks(e->pid) != e->ticks ||
        container_values_read("/proc", "/sys/fs/cgroup", e->pid, e->id, boottime_usec(), &now) < 0) {
        e->usage = (ContainerValues) {};
        return 0;
    }
    double percent = container_cpu_percent(&e->usage, &now);
    e->usage = now;
    if (percent >= 0 && add_number(o, "cpuPercent", percent) < 0)
        return -ENOMEM;
    return json_add_int(o, "memoryMiB", (int) (now.memory_kib / 1024));
}

static int measure(ServiceEntry *e, cJSON *all)
{
    cJSON *o = cJSON_CreateObject();

    return json_add_item(all, e->name, o) < 0 ||
                   json_add_string(o, "state", service_state_to_string(e->record.state)) < 0 ||
                   json_add_int(o, "restarts", (int) e->record.restarts_seen) < 0 ||
                   (e->record.state == SERVICE_BY_HAND && is_forgotten(&e->record) &&
                    json_add_bool(o, "forgotten", true) < 0) ||
                   add_usage(e, o) < 0
               ? -ENOMEM
               : 0;
}

cJSON *service_watch_measure(ServiceWatch *w)
{
    _cleanup_(cJSON_Deletep) cJSON *all = cJSON_CreateObject();

    for (size_t i = 0; all && w && i < w->n; i++)
        if (measure(&w->entries[i], all) < 0)
            return NULL;
    return TAKE_PTR(all);
}

void service_watch_tell_manager(const ServiceWatch *w)
{
    Buf b = BUF_INIT(SUMMARY_MAX);
    int r = buf_puts(&b, "ready");

    for (size_t i = 0; r == 0 && w && i < w->n; i++)
        if (service_in_trouble(&w->entries[i].record))
            r = buf_printf(&b, ", %s %s", w->entries[i].name, service_state_to_string(w->entries[i].record.trouble));
    service_status(b.data ? b.data : "ready");
    buf_done(&b);
}

void service_watch_save(const ServiceWatch *w)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
    ServiceStatus all[COMPOSE_SERVICES_MAX], removed[COMPOSE_SERVICES_MAX];
    ServiceTrouble troubles[COMPOSE_SERVICES_MAX], of_removed[COMPOSE_SERVICES_MAX];
    const ServicesFile f = { .services = all, .n_services = w->n, .removed = removed, .n_removed = w->n_removed };
    _cleanup_(error_done) Error err = {};
    int r;

    tell(w->entries, w->n, all, troubles);
    tell(w->removed, w->n_removed, removed, of_removed);
    for (size_t i = 0; i < w->n; i++) {
        all[i].id = w->entries[i].id;
        all[i].tries = w->entries[i].record.tries;
        all[i].recreated = w->entries[i].record.recreated;
    }
    r = services_file_save(&f, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot write down how the services are");
}

/* A clock that was put back does not end an alarm. */
static usec_t age_of_state(const ServiceRecord *r, const ServiceTimes *t)
{
    usec_t wall = realtime_usec(), age = wall > r->since ? wall - r->since : 0;

    return is_forgotten(r) && age < t->stop_alarm ? t->stop_alarm : age;
}

void service_watch_recall_entry(ServiceEntry *e, const ServiceStatus *s)
{
    static const ServiceTrouble none = {};
    const ServiceTrouble *t = s->trouble ? s->trouble : &none;
    ServiceRecord *r = &e->record;

    r->state = service_state_from_string(s->state);
    r->seen = r->state == SERVICE_BY_HAND || r->state == SERVICE_ENDED ? r->state : SERVICE_UNKNOWN;
    r->since = s->since > 0 ? s->since : r->since;
    r->trouble = service_state_from_string(t->what);
    r->trouble_since = t->since > 0 ? t->since : r->trouble_since;
    r->trouble_until = t->until > 0 ? t->until : r->trouble_until;
    r->trouble_at = boottime_usec();
    r->shown_at = r->trouble_at - age_of_state(r, &e->watch->times);
    r->restarts = t->restarts > 0 ? (unsigned) t->restarts : 0;
    r->tries = s->tries;
    r->recreated = s->recreated;
    e->exit_code = t->exit_code > 0 ? t->exit_code : 0;
    if (t->log)
        e->log = strdup(t->log);
}

void service_watch_recall(ServiceEntry *e, const ServicesFile *remembered)
{
    for (size_t i = 0; i < remembered->n_services && !e->one_shot; i++) {
        const ServiceStatus *s = &remembered->services[i];

        if (!str_equal(s->name, e->name) || !str_equal(s->id, e->id))
            continue;
        service_watch_recall_entry(e, s);
        if (service_in_trouble(&e->record) || e->record.state == SERVICE_BY_HAND) /* it may be well by now */
            service_watch_ask_in(e->watch, 0);
    }
}

void service_entry_log(const ServiceEntry *e, const ServiceRecord *before)
{
    const ServiceRecord *r = &e->record;
    const LogField fields[] = { { "SERVICE", e->name }, {} };
    bool was = service_in_trouble(before), is = service_in_trouble(r);
    char since[TIMESTAMP_SIZE];

    if (is_forgotten(r) && !is_forgotten(before))
        log_line(LOG_LEVEL_WARNING, fields, "Service %s was stopped by hand at %s, and nobody has started it again",
                 e->name, timestamp_format(r->since, since));
    else if (is && (!was || before->trouble != r->trouble))
        log_line(LOG_LEVEL_WARNING, fields, "Service %s is %s (exit code %d, restarted %u times)", e->name,
                 service_state_to_string(r->trouble), e->exit_code, r->restarts);
    else if (was && !is)
        log_line(LOG_LEVEL_NOTICE, fields, "Service %s is %s", e->name,
                 r->state == SERVICE_RUNNING ? "well again" : service_state_to_string(r->state));
    else if (before->state != r->state)
        log_line(LOG_LEVEL_INFO, fields, "Service %s: %s", e->name, service_state_to_string(r->state));
}

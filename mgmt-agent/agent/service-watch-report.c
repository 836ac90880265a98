/* SPDX-License-Identifier: MIT */
/* What is said of services, to people and to the cloud, and what is remembered over a restart of the agent. */

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/service-watch-impl.h"
#include "mgmt-agent/state/snapshot-store.h"

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

static int add_time(cJSON *o, const char *key, usec_t at)
{
    char text[TIMESTAMP_SIZE];

    return at > 0 ? json_add_string(o, key, timestamp_format(at, text)) : 0;
}

static int add_trouble(const ServiceEntry *e, cJSON *o)
{
    const ServiceRecord *r = &e->record;
    cJSON *trouble = cJSON_CreateObject();
    const char *error = e->watch->error && service_in_trouble(r) ? e->watch->error : NULL;

    if (json_add_item(o, "trouble", trouble) < 0 ||
        json_add_string(trouble, "what", service_state_to_string(r->trouble)) < 0 ||
        add_time(trouble, "since", r->trouble_since) < 0 || add_time(trouble, "until", r->trouble_until) < 0 ||
        json_add_int(trouble, "exitCode", e->exit_code) < 0 ||
        json_add_int(trouble, "restarts", (int) r->restarts) < 0 || json_add_string(trouble, "error", error) < 0 ||
        (e->log && json_add_string(trouble, "log", log_end(e->log)) < 0))
        return -ENOMEM;
    return 0;
}

static int add_entry(const ServiceEntry *e, cJSON *all)
{
    cJSON *o = cJSON_CreateObject();

    if (!o || json_append(all, o) < 0 || json_add_string(o, "name", e->name) < 0 ||
        json_add_string(o, "state", service_state_to_string(e->record.state)) < 0 ||
        add_time(o, "since", e->record.since) < 0)
        return -ENOMEM;
    return e->record.trouble == SERVICE_UNKNOWN ? 0 : add_trouble(e, o);
}

static int add_entries(cJSON *all, const ServiceEntry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (add_entry(&entries[i], all) < 0)
            return -ENOMEM;
    return 0;
}

cJSON *service_watch_describe(const ServiceWatch *w)
{
    _cleanup_(cJSON_Deletep) cJSON *all = cJSON_CreateArray();

    return !all || (w && add_entries(all, w->entries, w->n) < 0) ? NULL : TAKE_PTR(all);
}

cJSON *service_watch_describe_all(const ServiceWatch *w)
{
    _cleanup_(cJSON_Deletep) cJSON *all = service_watch_describe(w);

    return !all || (w && add_entries(all, w->removed, w->n_removed) < 0) ? NULL : TAKE_PTR(all);
}

static int measure(const ServiceEntry *e, cJSON *all)
{
    cJSON *o = cJSON_CreateObject();

    return json_add_item(all, e->name, o) < 0 ||
                   json_add_string(o, "state", service_state_to_string(e->record.state)) < 0 ||
                   json_add_int(o, "restarts", (int) e->record.restarts_seen) < 0
               ? -ENOMEM
               : 0;
}

cJSON *service_watch_measure(const ServiceWatch *w)
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
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    cJSON *all = service_watch_describe(w), *removed = cJSON_CreateArray();
    int r = o ? json_add_item(o, "services", all) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < w->n; i++) {
        cJSON *item = cJSON_GetArrayItem(all, (int) i);

        r = json_add_string(item, "id", w->entries[i].id);
        if (r == 0)
            r = json_add_int(item, "tries", (int) w->entries[i].record.tries);
        if (r == 0)
            r = json_add_bool(item, "recreated", w->entries[i].record.recreated);
    }
    if (r == 0)
        r = json_add_item(o, "removed", removed);
    if (r == 0)
        r = add_entries(removed, w->removed, w->n_removed);
    if (r == 0)
        r = store_save_services(o, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot write down how the services are");
}

static unsigned count(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(item) && item->valueint > 0 ? (unsigned) item->valueint : 0;
}

static void recall_time(const cJSON *o, const char *key, usec_t *at)
{
    const char *text = json_string(o, key);

    if (text)
        (void) timestamp_parse(text, at);
}

void service_watch_recall_entry(ServiceEntry *e, const cJSON *item)
{
    const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(item, "trouble");
    ServiceRecord *r = &e->record;

    r->state = service_state_from_string(json_string(item, "state"));
    r->seen = r->state == SERVICE_BY_HAND || r->state == SERVICE_ENDED ? r->state : SERVICE_UNKNOWN;
    recall_time(item, "since", &r->since);
    r->trouble = service_state_from_string(json_string(trouble, "what"));
    recall_time(trouble, "since", &r->trouble_since);
    recall_time(trouble, "until", &r->trouble_until);
    r->trouble_at = boottime_usec();
    r->restarts = count(trouble, "restarts");
    r->tries = count(item, "tries");
    r->recreated = json_bool(item, "recreated", false);
    e->exit_code = (int) count(trouble, "exitCode");
    if (json_string(trouble, "log"))
        e->log = strdup(json_string(trouble, "log"));
}

void service_watch_recall(ServiceEntry *e, const cJSON *remembered)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(remembered, "services")) {
        if (!str_equal(json_string(item, "name"), e->name) || !str_equal(json_string(item, "id"), e->id) || e->one_shot)
            continue;
        service_watch_recall_entry(e, item);
        if (service_in_trouble(&e->record)) /* it may be well by now */
            service_watch_ask_in(e->watch, 0);
    }
}

void service_entry_log(const ServiceEntry *e, const ServiceRecord *before)
{
    const ServiceRecord *r = &e->record;
    const LogField fields[] = { { "SERVICE", e->name }, {} };
    bool was = service_in_trouble(before), is = service_in_trouble(r);

    if (is && (!was || before->trouble != r->trouble))
        log_line(LOG_LEVEL_WARNING, fields, "Service %s is %s (exit code %d, restarted %u times)", e->name,
                 service_state_to_string(r->trouble), e->exit_code, r->restarts);
    else if (was && !is)
        log_line(LOG_LEVEL_NOTICE, fields, "Service %s is %s", e->name,
                 r->state == SERVICE_RUNNING ? "well again" : service_state_to_string(r->state));
    else if (before->state != r->state)
        log_line(LOG_LEVEL_INFO, fields, "Service %s: %s", e->name, service_state_to_string(r->state));
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/host-health.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/relay-state.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/health-reporter.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/health/host-faults.h"
#include "mgmt-agent/health/host-values.h"

/* What only a process of its own can find out: the sizes of podman's store, what disks say of themselves, and, in a service that
 * may not ask the kernel, whether something keeps the clock right. */
#define SLOW_FIRST_USEC (5 * USEC_PER_MINUTE)
#define SLOW_USEC USEC_PER_HOUR
#define SLOW_TIMEOUT_USEC (20 * USEC_PER_MINUTE)

struct HostHealth {
    Agent *agent;
    HealthReporter *reporter;
    usec_t booted_at; /* wall clock */
    CpuTicks cpu;     /* of the look before */
    cJSON *faults;    /* likewise */
    cJSON *slow;      /* worker.health, the last that came */
    Runner *runner;
    sd_event_source *slow_timer;
    unsigned pace;
};

static int add_services(const HostHealth *h, cJSON *o)
{
    cJSON *services = service_watch_measure(h->agent->services);

    return json_add_item(o, "services", services);
}

static int add_updates(const HostHealth *h, cJSON *o)
{
    return json_add_int(o, "updatesPending", (int) agent_count_news(h->agent));
}

/* Where no relay-client runs there is nothing to say of it. */
static int add_relay(cJSON *o)
{
    _cleanup_(freep) char *path = path_in_root(RELAY_STATE_PATH);
    _cleanup_(relay_state_done) RelayState state = {};

    if (!path || relay_state_read(path, &state, NULL) < 0)
        return 0;
    return json_add_item(o, "relay", relay_state_describe(&state, boottime_usec()));
}

static int add_slow(const HostHealth *h, cJSON *o)
{
    static const char *const parts[] = { "podmanStore", "smart", "clock" };

    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(h->slow, parts[i]);

        if (cJSON_IsObject(item) && !cJSON_GetObjectItemCaseSensitive(o, parts[i]) &&
            json_add_item(o, parts[i], cJSON_Duplicate(item, true)) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The new ones replace those of the look before, and are copied into the values. */
static int add_faults(HostHealth *h, cJSON *o)
{
    cJSON *faults = host_faults(o, h->faults);

    if (!faults)
        return -ENOMEM;
    cJSON_Delete(h->faults);
    h->faults = faults;
    return json_add_item(o, "faults", cJSON_Duplicate(faults, true));
}

static cJSON *gather(void *userdata)
{
    HostHealth *h = userdata;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    HostValues v;
    int r;

    host_values_read("/proc", "/sys", "/run", &v);
    r = o ? host_values_describe(&v, &h->cpu, o) : -ENOMEM;
    h->cpu = v.cpu;
    host_values_done(&v);
    if (r < 0 || health_add_origin(o, "bootedAt", h->booted_at) < 0 || add_services(h, o) < 0 ||
        add_updates(h, o) < 0 || add_relay(o) < 0 || add_slow(h, o) < 0 || add_faults(h, o) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int send_report(const cJSON *message, void *userdata)
{
    HostHealth *h = userdata;
    ControlClient *link = control_link(h->agent->control);

    if (!link)
        return -ENOTCONN;
    control_send(link, message);
    return 0;
}

static void on_slow_message(Runner *r, const cJSON *message, void *userdata)
{
    HostHealth *h = userdata;

    (void) r;
    if (!str_equal(json_string(message, "type"), "worker.health"))
        return;
    cJSON_Delete(h->slow);
    h->slow = cJSON_Duplicate(message, true);
}

/* What was measured long ago is not told as if it were so now. */
static void on_slow_done(Runner *r, int ok, int exit_status, void *userdata)
{
    HostHealth *h = userdata;

    (void) r;
    if (!ok || exit_status != 0)
        h->slow = (cJSON_Delete(h->slow), NULL);
    h->runner = runner_free(h->runner);
    host_health_look(h);
}

static int on_slow(sd_event_source *source, uint64_t usec, void *userdata)
{
    HostHealth *h = userdata;
    _cleanup_(cJSON_Deletep) cJSON *nothing = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    bool later = h->runner || agent_is_busy(h->agent);
    int r = timer_arm(h->agent->event, &h->slow_timer, (later ? SLOW_FIRST_USEC : SLOW_USEC) / h->pace, on_slow, h);

    (void) source;
    (void) usec;
    if (r < 0 || later || !nothing)
        return 0;
    RunnerOptions options = h->agent->runner_options;
    options.timeout_usec = SLOW_TIMEOUT_USEC;
    r = runner_start(h->agent->event, &options, "health", nothing, on_slow_message, on_slow_done, h, &h->runner, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Podman's store and the disks are not looked at this time");
    return 0;
}

void host_health_make_way(HostHealth *h)
{
    if (!h || !h->runner)
        return;
    h->runner = runner_free(h->runner);
    if (timer_arm(h->agent->event, &h->slow_timer, SLOW_FIRST_USEC / h->pace, on_slow, h) < 0)
        log_debug("podman's store and the disks are looked at no more");
}

void host_health_look(HostHealth *h)
{
    health_reporter_look(h ? h->reporter : NULL);
}

void host_health_connected(HostHealth *h)
{
    health_reporter_connected(h ? h->reporter : NULL);
}

void host_health_disconnected(HostHealth *h)
{
    health_reporter_disconnected(h ? h->reporter : NULL);
}

const cJSON *host_health_values(const HostHealth *h)
{
    return health_reporter_values(h ? h->reporter : NULL);
}

void host_health_handle_ack(Agent *a, ControlClient *c, const cJSON *message)
{
    (void) c;
    health_reporter_take_ack(a->health ? a->health->reporter : NULL, message);
}

int host_health_new(Agent *a, unsigned pace, HostHealth **ret, Error *err)
{
    static const HealthReporterEvents events = { gather, send_report };
    _cleanup_(host_health_freep) HostHealth *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return error_set(err, ENOMEM, "agent.start", "no memory");
    *h = (HostHealth) { .agent = a, .pace = pace, .booted_at = realtime_usec() - boottime_usec() };
    r = health_reporter_new(a->event, pace, &events, h, &h->reporter);
    if (r == 0)
        r = timer_arm(a->event, &h->slow_timer, SLOW_FIRST_USEC / pace, on_slow, h);
    if (r < 0)
        return error_set(err, r, "agent.start", "cannot start looking at the box's health: %s", strerror(-r));
    *ret = TAKE_PTR(h);
    return 0;
}

HostHealth *host_health_free(HostHealth *h)
{
    if (!h)
        return NULL;
    health_reporter_free(h->reporter);
    runner_free(h->runner);
    sd_event_source_disable_unref(h->slow_timer);
    cJSON_Delete(h->faults);
    cJSON_Delete(h->slow);
    free(h);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* What the tunnels need is loaded again whenever the database was away. */
#include <errno.h>
#include <malloc.h>

#include "gateway/deployments/deployments-waiting.h"
#include "gateway/gateway-impl.h"
#include "gateway/rollouts/rollouts-halted.h"
#include "gateway/store/devices-table.h"
#include "gateway/store/grants-table.h"
#include "gateway/store/rollouts-table.h"
#include "gateway/store/sessions-table.h"
#include "gateway/store/trust-roots-table.h"
#include "gateway/store/waiting-table.h"
#include "lib/base/log.h"
#include "lib/event/daemon.h"

/* the database is there, and does not say what it knows */
#define LOAD_AGAIN (5 * USEC_PER_SEC)

static int load_devices(Gateway *g, const StoreRows *rows)
{
    int r = 0;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        if ((r = host_keys_adopt(g->host_keys, store_rows_get(rows, i, 0), store_rows_get(rows, i, 2))) >= 0)
            if ((r = device_registry_put_device(g->registry, store_rows_get(rows, i, 0),
                                                store_rows_true(rows, i, 1))) >= 0)
                r = vouchers_adopt(g->registry, store_rows_get(rows, i, 0), store_rows_get(rows, i, 3));
    return r;
}

static int load_keys(Gateway *g, const StoreRows *rows)
{
    int r = 0;
    Role role;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        if (role_parse(store_rows_get(rows, i, 1), &role) >= 0)
            r = device_registry_put_key(g->registry, store_rows_get(rows, i, 0), role, store_rows_get(rows, i, 2));
    return r;
}

static int load_deployments(Gateway *g, const StoreRows *rows)
{
    int r = deployments_adopt(g->deployments, rows, !g->ready);
    if (r >= 0)
        deployments_sweep(g->deployments); /* what waited for the store */
    return r;
}

static int load_waiting(Gateway *g, const StoreRows *rows)
{
    return deployments_adopt_waiting(g->deployments, rows);
}

static int load_nothing(Gateway *g _unused_, const StoreRows *rows _unused_)
{
    return 0;
}

static int load_rollouts(Gateway *g, const StoreRows *rows)
{
    return rollouts_adopt(g->rollouts, rows);
}

static int load_rollout_boxes(Gateway *g, const StoreRows *rows)
{
    return rollouts_adopt_boxes(g->rollouts, rows);
}

static int load_halted(Gateway *g, const StoreRows *rows)
{
    return rollouts_adopt_halted(g->rollouts, rows);
}

static int load_revocations(Gateway *g, const StoreRows *rows)
{
    return revocations_adopt(g->revocations, rows);
}

static int load_trust_roots(Gateway *g, const StoreRows *rows)
{
    return trust_roots_adopt(g->trust_roots, rows);
}

/* Sessions that an earlier gateway left open ended with it. */
static Statement sql_sessions_lost(void)
{
    return sql_sessions_close_all("gateway.lost");
}

static const struct {
    Statement (*sql)(void);
    int (*load)(Gateway *g, const StoreRows *rows);
    bool at_start; /* not again after an outage of the store */
} load_steps[] = {
    { sql_sessions_lost, load_nothing, true },
    { sql_devices_known, load_devices, false },
    { sql_device_keys, load_keys, false },
    { sql_deployments_open, load_deployments, false },
    { sql_rollouts_open, load_rollouts, false },
    { sql_rollout_boxes, load_rollout_boxes, false },
    { sql_rollouts_halted, load_halted, false },
    { sql_waiting_known, load_waiting, false },
    { sql_trust_roots_waiting, load_trust_roots, false },
    { sql_revocations_known, load_revocations, false },
};

static void gateway_load(Gateway *g);

static void load_later(Gateway *g, const Error *err, int r);

/* A sweep asks for more of the lease: what the database says else is seen by others. */
void gateway_on_lease_renewed(int r, const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (r != -EBUSY)
        return;
    log_failure(LOG_LEVEL_ERROR, NULL, err, r, "ending, since two gateways would undo each other's work");
    sd_event_exit(g->event, r);
}

static void on_lease(int r, const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (r == -EBUSY && g->ready) {
        gateway_on_lease_renewed(r, err, g);
    } else if (r < 0) {
        load_later(g, err, r);
    } else {
        g->loading = 0;
        gateway_load(g);
    }
}

/* What an earlier run could not write comes before sessions that it left open count as lost. */
static void on_backlog_settled(void *userdata)
{
    Gateway *g = userdata;
    int r = gateway_lease_ask(g->lease, on_lease, g);
    if (r < 0)
        load_later(g, NULL, r);
}

void gateway_begin_to_load(Gateway *g)
{
    timer_disarm(g->load_again);
    backlog_settle(g->backlog, on_backlog_settled, g);
}

static int on_load_again(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Gateway *g = userdata;
    if (store_is_up(g->store)) /* else on_store_up comes again */
        backlog_settle(g->backlog, on_backlog_settled, g);
    return 0;
}

/* A lock, a disk that is full, rights that are missing: it passes, and meanwhile what stands goes on. */
static void load_later(Gateway *g, const Error *err, int r)
{
    if (r == -EBUSY)
        service_waits(LOAD_AGAIN, "another gateway serves with this database");
    if (r != -EBUSY || !g->stands_by)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "cannot load what the database knows yet");
    g->stands_by = r == -EBUSY;
    if (timer_arm(g->event, &g->load_again, LOAD_AGAIN, on_load_again, g) < 0)
        sd_event_exit(g->event, -ENOMEM); /* without the timer it would wait for ever */
}

static void on_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (r >= 0)
        r = load_steps[g->loading].load(g, rows);
    if (r < 0) {
        load_later(g, err, r);
        return;
    }
    g->loading++;
    gateway_load(g);
}

void gateway_tell_status(const Gateway *g)
{
    if (g->ready)
        service_ready(gateway_files_status(g->files));
}

static void gateway_load(Gateway *g)
{
    Error err = {};
    while (g->ready && g->loading < ELEMENTSOF(load_steps) && load_steps[g->loading].at_start)
        g->loading++;
    if (g->loading < ELEMENTSOF(load_steps)) {
        int r = store_query(g->store, load_steps[g->loading].sql(), on_loaded, g, NULL, &err);
        if (r < 0)
            load_later(g, &err, r);
        error_done(&err);
        return;
    }
    if (!g->ready)
        log_notice("serving as %s on port %u", g->issuer, http_server_port(g->server));
    g->ready = g->admission.ready = true;
    router_set_ready(g->router);
    rollouts_wake(g->rollouts);
    audit_head_sweep(g->audit_head);
    support_sessions_sweep(g->sessions); /* what waited for the store */
    webhooks_sweep(g->webhooks);
    gateway_tell_status(g);
    (void) malloc_trim(0); /* what only the start needed */
}

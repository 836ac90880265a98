/* SPDX-License-Identifier: MIT */
/* The copy of the open rollouts in memory, and giving boxes their turn. What is written when is in
 * rollouts-save.c. */
#include "gateway/rollouts/rollouts-internal.h"

#include <errno.h>
#include <string.h>

#include "gateway/deployments/deployments.h"
#include "gateway/devices/device-connection.h"
#include "gateway/store/rollouts-table.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

/* many boxes say something at once: all of it is looked at together */
#define WAKE_DELAY (30 * USEC_PER_MSEC)
/* boxes whose absence is written down in one statement */
#define AWAY_BATCH 1000
#define RETRY_DELAY (2 * USEC_PER_SEC)
#define RETRY_DELAY_MAX (10 * USEC_PER_MINUTE)
#define RETRY_DOUBLINGS 7

void rollout_log(const Rollout *r, LogLevel level, const char *what)
{
    log_line(level, (const LogField[]) { { "ROLLOUT", r->id }, {} }, "rollout %s: %s", r->id, what);
}

static Rollout *rollout_free(Rollout *r)
{
    if (!r)
        return NULL;
    store_query_free(r->query);
    map_free(r->by_device);
    for (size_t i = 0; i < r->n_boxes; i++)
        free(r->boxes[i].device);
    free(r->boxes);
    strv_free(r->groups);
    free(r->id);
    free(r->image);
    free(r->digest);
    free(r->service);
    free(r->compose);
    free(r);
    return NULL;
}
DEFINE_CLEANUP(Rollout, rollout_free)

static void free_rollout(void *value)
{
    rollout_free(value);
}

Rollouts *rollouts_new(Gateway *g)
{
    Rollouts *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return NULL;
    rs->gateway = g;
    rs->wake_at = USEC_INFINITY;
    rs->map = map_new(free_rollout);
    return rs->map ? rs : rollouts_free(rs);
}

Rollouts *rollouts_free(Rollouts *rs)
{
    if (!rs)
        return NULL;
    store_query_free(rs->reload);
    sd_event_source_disable_unref(rs->timer);
    map_free(rs->map);
    free(rs);
    return NULL;
}

static int read_groups(const char *text, char ***ret)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *item;
    if (json_parse(text, strlen(text), &list, NULL) < 0)
        return -EBADMSG;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return -EBADMSG;
        if (strv_add(ret, item->valuestring) < 0)
            return -ENOMEM;
    }
    size_t n = strv_length(*ret);
    return n > 0 && n <= ROLLOUT_GROUPS_MAX ? 0 : -EBADMSG;
}

static int read_view(Rollout *r, const RolloutRow *row)
{
    int state = rollout_state_from_string(row->state);
    if (state < 0 || row->group >= strv_length(r->groups))
        return -EBADMSG;
    usec_t soak = row->soak_seconds * USEC_PER_SEC, gone = row->soaked * USEC_PER_SEC;
    r->view = (RolloutView) {
        .state = (RolloutState) state,
        .n_groups = strv_length(r->groups),
        .group = row->group,
        .halt_at = (unsigned) row->halt_at,
        .parallel = (unsigned) row->parallel,
        .forgiven = (unsigned) row->forgiven,
        .soak = soak,
        .soaking_since = boottime_usec() - (gone < soak ? gone : soak),
    };
    return 0;
}

/* NULL stays NULL; 0 or -ENOMEM. */
static int copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

static int adopt_row(Gateway *g, Map *map, const RolloutRow *row)
{
    _cleanup_(rollout_freep) Rollout *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->gateway = g;
    r->event = -1;
    r->update = row->update;
    r->offline_after = row->offline_after * USEC_PER_SEC;
    r->confirm_deadline = (unsigned) row->confirm_deadline;
    r->by_device = map_new(NULL);
    if (!r->by_device || copy(row->id, &r->id) < 0 || copy(row->image, &r->image) < 0 ||
        copy(row->digest, &r->digest) < 0 || copy(row->service, &r->service) < 0 || copy(row->compose, &r->compose) < 0)
        return -ENOMEM;
    int code = read_groups(row->groups, &r->groups);
    if (code >= 0)
        code = read_view(r, row);
    if (code >= 0)
        code = map_put(map, r->id, r);
    if (code >= 0)
        r = NULL;
    return code;
}

int rollouts_adopt(Gateway *g, const StoreRows *rows)
{
    RolloutRow row;
    Map *map = map_new(free_rollout);
    int r = map ? 0 : -ENOMEM;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = rollout_row(rows, i, &row) < 0 ? -EBADMSG : adopt_row(g, map, &row);
    if (r < 0) {
        map_free(map);
        return r;
    }
    map_free(g->rollouts->map);
    g->rollouts->map = map;
    return 0;
}

static int adopt_box(Rollout *r, const StoreRows *rows, size_t i)
{
    RolloutBox *box = &r->boxes[r->n_boxes];
    uint64_t group;
    int state = rollout_box_state_from_string(store_rows_get(rows, i, 3));
    if (state < 0 || store_rows_u64(rows, i, 2, r->view.n_groups - 1, &group) < 0)
        return -EBADMSG;
    *box = (RolloutBox) { .group = (unsigned) group, .state = (RolloutBoxState) state };
    if (store_rows_copy(rows, i, 1, &box->device) < 0)
        return -ENOMEM;
    r->n_boxes++;
    /* its turn is just being written down */
    if (rollout_box_next(box->state, ROLLOUT_BOX_SEND) >= 0 && deployment_is_of(r->gateway, box->device, r->id))
        box->state = ROLLOUT_BOX_SENT;
    return map_put(r->by_device, box->device, box);
}

/* The rows of one rollout, which stand together: from *i on. */
static int adopt_boxes(Gateway *g, const StoreRows *rows, size_t *i)
{
    const char *id = store_rows_get(rows, *i, 0);
    size_t end = *i;
    while (end < store_rows_count(rows) && str_equal(store_rows_get(rows, end, 0), id))
        end++;
    Rollout *r = map_get(g->rollouts->map, id);
    int code = 0;
    if (r && r->n_boxes == 0) {
        r->boxes = calloc(end - *i, sizeof(*r->boxes));
        code = r->boxes ? 0 : -ENOMEM;
        for (size_t k = *i; k < end && code >= 0; k++)
            code = adopt_box(r, rows, k);
    }
    *i = end;
    return code;
}

int rollouts_adopt_boxes(Gateway *g, const StoreRows *rows)
{
    int r = 0;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0;)
        r = adopt_boxes(g, rows, &i);
    rollouts_wake(g);
    return r;
}

bool rollouts_is_sending(const Gateway *g, const char *rollout)
{
    const Rollout *r = map_get(g->rollouts->map, rollout);
    return r && rollout_is_sending(r->view.state);
}

bool rollout_box_is_here(const Gateway *g, const char *device)
{
    const DeviceConn *s = device_conn_find(g, device, ROLE_MGMT);
    return s && device_conn_agent_spoke(s);
}

void rollout_count(const Rollout *r, RolloutCounts counts[static ROLLOUT_GROUPS_MAX])
{
    for (size_t i = 0; i < r->n_boxes; i++) {
        const RolloutBox *box = &r->boxes[i];
        RolloutCounts *c = &counts[box->group];
        unsigned *const by_state[_ROLLOUT_BOX_STATES] = {
            [ROLLOUT_BOX_WAITING] = &c->waiting,    [ROLLOUT_BOX_OFFLINE] = &c->offline,
            [ROLLOUT_BOX_SENT] = &c->sent,          [ROLLOUT_BOX_DONE] = &c->done,
            [ROLLOUT_BOX_FAILED] = &c->failed,      [ROLLOUT_BOX_ROLLED_BACK] = &c->failed,
            [ROLLOUT_BOX_SKIPPED] = &c->skipped,
        };
        c->boxes++;
        ++*by_state[box->state];
        if (box->state == ROLLOUT_BOX_DONE && box->group == r->view.group &&
            r->view.state == ROLLOUT_SOAKING && !rollout_box_is_here(r->gateway, box->device))
            c->away++;
    }
}

static bool is_unsent(const RolloutBox *box)
{
    return rollout_box_next(box->state, ROLLOUT_BOX_SEND) >= 0;
}

/* Says which boxes that are waited for have been away for too long. Returns when to look again. */
static usec_t look_for_away(Rollout *r, usec_t now)
{
    usec_t wake_at = USEC_INFINITY;
    _cleanup_(strv_freep) char **gone = NULL;
    for (size_t i = 0, n = 0; n < AWAY_BATCH && i < r->n_boxes && r->boxes[i].group <= r->view.group; i++) {
        RolloutBox *box = &r->boxes[i];
        if (box->state != ROLLOUT_BOX_WAITING)
            continue;
        if (rollout_box_is_here(r->gateway, box->device)) {
            box->away_since = 0;
            continue;
        }
        if (box->away_since == 0)
            box->away_since = now;
        if (box->away_since + r->offline_after > now) {
            if (box->away_since + r->offline_after < wake_at)
                wake_at = box->away_since + r->offline_after;
        } else if (strv_add(&gone, box->device) < 0) {
            break; /* the next look finds it again */
        } else {
            n++;
        }
    }
    if (gone)
        rollout_save_away(r, gone);
    return wake_at;
}

static void skip_old_agent(Rollout *r, RolloutBox *box)
{
    Error err = {};
    error_set(&err, EOPNOTSUPP, "rollout.old-agent",
              "the agent of this box is too old to take an image update: install a newer one, or push a compose file");
    rollout_save_skip(r, box, &err);
    error_done(&err);
}

static void send_box(Rollout *r, RolloutBox *box, usec_t now)
{
    Error err = {};
    const DeploymentOrder order = {
        .rollout = r->id,
        .device = box->device,
        .compose = r->update ? NULL : r->compose,
        .image = r->image,
        .digest = r->digest,
        .service = r->service,
        .confirm_deadline = r->confirm_deadline,
    };
    int code = deployment_order(r->gateway, &order, &err);
    if (code >= 0) {
        box->before = box->state;
        box->state = ROLLOUT_BOX_SENT;
    } else {
        box->not_before = now + RETRY_DELAY;
        if (code != -ENOTCONN)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, code, "rollout %s: %s waits", r->id, box->device);
    }
    error_done(&err);
}

/* Gives boxes their turn. Returns when to look again. */
static usec_t send_boxes(Rollout *r, unsigned may_send, usec_t now)
{
    usec_t wake_at = USEC_INFINITY;
    for (size_t i = 0; may_send > 0 && i < r->n_boxes && r->boxes[i].group <= r->view.group; i++) {
        RolloutBox *box = &r->boxes[i];
        if (!is_unsent(box) || !rollout_box_is_here(r->gateway, box->device) ||
            map_get(r->gateway->deployments, box->device))
            continue;
        if (r->update && !device_conn_takes_updates(device_conn_find(r->gateway, box->device, ROLE_MGMT))) {
            if (!r->query)
                skip_old_agent(r, box);
            continue;
        }
        if (box->not_before > now) {
            wake_at = box->not_before < wake_at ? box->not_before : wake_at;
            continue;
        }
        send_box(r, box, now);
        may_send -= box->state == ROLLOUT_BOX_SENT;
    }
    return wake_at;
}

/* Looks at one rollout. Returns when to look again. */
static usec_t rollout_step(Rollout *r, usec_t now)
{
    RolloutCounts counts[ROLLOUT_GROUPS_MAX] = {};
    if (r->query || r->n_boxes == 0)
        return USEC_INFINITY;
    rollout_count(r, counts);
    r->view.groups = counts;
    RolloutDecision d = rollout_decide(&r->view, now);
    if (d.event >= 0)
        rollout_save_event(r, (RolloutEvent) d.event);
    r->view.groups = NULL;
    if (d.event >= 0 || !rollout_is_sending(r->view.state))
        return d.wake_at;
    usec_t away = look_for_away(r, now);
    usec_t later = r->query || d.may_send == 0 ? USEC_INFINITY : send_boxes(r, d.may_send, now);
    if (away < later)
        later = away;
    return later < d.wake_at ? later : d.wake_at;
}

static void wake_at(Rollouts *rs, usec_t when, usec_t now);

static int on_wake(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Rollouts *rs = userdata;
    usec_t now = boottime_usec(), next = USEC_INFINITY;
    void *value;
    rs->wake_at = USEC_INFINITY;
    if (!store_is_up(rs->gateway->store) || !rs->gateway->ready)
        return 0; /* loading wakes us */
    for (size_t i = 0; map_next(rs->map, &i, NULL, &value);) {
        usec_t when = rollout_step(value, now);
        next = when < next ? when : next;
    }
    wake_at(rs, next, now);
    return 0;
}

static void wake_at(Rollouts *rs, usec_t when, usec_t now)
{
    if (when >= rs->wake_at)
        return;
    if (timer_arm(rs->gateway->event, &rs->timer, when > now ? when - now : 0, on_wake, rs) < 0)
        log_error("no memory to look after rollouts; the next look is at the next sweep");
    else
        rs->wake_at = when;
}

void rollouts_wake(Gateway *g)
{
    usec_t now = boottime_usec();
    if (map_size(g->rollouts->map) > 0)
        wake_at(g->rollouts, now + WAKE_DELAY, now);
}

static RolloutBox *find_box(const Gateway *g, const char *rollout, const char *device, Rollout **ret)
{
    *ret = map_get(g->rollouts->map, rollout);
    return *ret ? map_get((*ret)->by_device, device) : NULL;
}

static void retry_later(RolloutBox *box)
{
    unsigned doublings = box->tries < RETRY_DOUBLINGS ? box->tries : RETRY_DOUBLINGS;
    usec_t delay = RETRY_DELAY << doublings;
    box->tries++;
    box->not_before = boottime_usec() + (delay < RETRY_DELAY_MAX ? delay : RETRY_DELAY_MAX);
}

void rollouts_on_stored(Gateway *g, const char *rollout, const char *device, int r)
{
    Rollout *owner;
    RolloutBox *box = find_box(g, rollout, device, &owner);
    if (!box)
        return;
    if (r >= 0) {
        box->state = ROLLOUT_BOX_SENT;
        rollout_tell(owner);
        return;
    }
    box->state = box->before;
    retry_later(box);
    if (r == -EBUSY) /* it was not its turn: the copy is wrong, or the rollout was stopped just now */
        rollouts_reload(g);
    else
        rollouts_wake(g);
}

void rollouts_on_end(Gateway *g, const char *rollout, const char *device, const char *state)
{
    Rollout *r;
    RolloutBox *box = find_box(g, rollout, device, &r);
    int now = rollout_box_state_from_string(state);
    if (!box || now < 0)
        return;
    box->state = (RolloutBoxState) now;
    box->away_since = 0;
    if (box->state == ROLLOUT_BOX_WAITING)
        retry_later(box);
    rollout_tell(r);
    rollouts_wake(g);
}

/* The end of a load that was asked for. When the database is only away, everything is loaded once it is back. */
static void reload_ended(Rollouts *rs, int r, const Error *err)
{
    rs->stale = r < 0 && r != -ENOTCONN;
    if (rs->stale)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "cannot load the rollouts, trying again at the next sweep");
    if (r >= 0 && rs->reload_again)
        rollouts_reload(rs->gateway);
}

static void on_boxes_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Rollouts *rs = userdata;
    rs->reload = NULL;
    if (r >= 0)
        r = rollouts_adopt_boxes(rs->gateway, rows);
    reload_ended(rs, r, err);
}

static void on_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Rollouts *rs = userdata;
    Error why = {};
    rs->reload = NULL;
    if (r >= 0)
        r = rollouts_adopt(rs->gateway, rows);
    if (r >= 0)
        r = store_query(rs->gateway->store, sql_rollout_boxes(), on_boxes_loaded, rs, &rs->reload, &why);
    if (r < 0)
        reload_ended(rs, r, why.id ? &why : err);
    error_done(&why);
}

void rollouts_reload(Gateway *g)
{
    Rollouts *rs = g->rollouts;
    Error err = {};
    rs->reload_again = rs->reload != NULL;
    if (rs->reload)
        return;
    int r = store_query(g->store, sql_rollouts_open(), on_loaded, rs, &rs->reload, &err);
    if (r < 0)
        reload_ended(rs, r, &err);
    error_done(&err);
}

void rollouts_sweep(Gateway *g)
{
    if (g->rollouts->stale)
        rollouts_reload(g);
    rollouts_wake(g);
}

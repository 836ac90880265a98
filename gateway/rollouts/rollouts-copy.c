/* SPDX-License-Identifier: MIT */
/* See rollouts-copy.h. */
#include "gateway/rollouts/rollouts-copy-impl.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/rollouts-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

/* many boxes say something at once: all of it is looked at together */
#define WAKE_DELAY (30 * USEC_PER_MSEC)

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
    free(r->target);
    free(r->project);
    free(r);
    return NULL;
}
DEFINE_CLEANUP(Rollout, rollout_free)

void rollout_free_value(void *value)
{
    rollout_free(value);
}

static int read_groups(const char *text, char ***ret)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *item;
    if (json_parse(text, strlen(text), &list, NULL) < 0)
        return -EBADMSG;
    cJSON_ArrayForEach(item, list) {
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

static int adopt_row(Rollouts *rs, Map *map, const RolloutRow *row)
{
    _cleanup_(rollout_freep) Rollout *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->owner = rs;
    r->event = -1;
    r->update = row->update;
    r->is_signed = row->is_signed;
    r->offline_after = row->offline_after * USEC_PER_SEC;
    r->confirm_deadline = (unsigned) row->confirm_deadline;
    r->by_device = map_new(NULL);
    if (!r->by_device || copy(row->id, &r->id) < 0 || copy(row->image, &r->image) < 0 ||
        copy(row->digest, &r->digest) < 0 || copy(row->service, &r->service) < 0 ||
        copy(row->compose, &r->compose) < 0 || copy(row->target, &r->target) < 0 || copy(row->project, &r->project) < 0)
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

int rollouts_adopt(Rollouts *rs, const StoreRows *rows)
{
    RolloutRow row;
    Map *map = map_new(rollout_free_value);
    int r = map ? 0 : -ENOMEM;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = rollout_row(rows, i, &row) < 0 ? -EBADMSG : adopt_row(rs, map, &row);
    if (r < 0) {
        map_free(map);
        return r;
    }
    map_free(rs->map);
    rs->map = map;
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
    if (rollout_box_next(box->state, ROLLOUT_BOX_SEND) >= 0 &&
        deployments_is_of(r->owner->deployments, box->device, r->id))
        box->state = ROLLOUT_BOX_SENT;
    return map_put(r->by_device, box->device, box);
}

/* The rows of one rollout, which stand together: from *i on. */
static int adopt_boxes(Rollouts *rs, const StoreRows *rows, size_t *i)
{
    const char *id = store_rows_get(rows, *i, 0);
    size_t end = *i;
    while (end < store_rows_count(rows) && str_equal(store_rows_get(rows, end, 0), id))
        end++;
    Rollout *r = map_get(rs->map, id);
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

int rollouts_adopt_boxes(Rollouts *rs, const StoreRows *rows)
{
    int r = 0;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0;)
        r = adopt_boxes(rs, rows, &i);
    rollouts_wake(rs);
    return r;
}

bool rollout_box_is_here(const Rollouts *rs, const char *device)
{
    const DeviceConn *s = device_conn_find(rs->conns, device, ROLE_MGMT);
    return s && device_conn_agent_spoke(s);
}

void rollout_tell(const Rollout *r)
{
    requests_tell(r->owner->requests, r->id, ROLLOUT_TOPIC, r->id);
}

void rollouts_wake_at(Rollouts *rs, usec_t when, usec_t now)
{
    if (when >= rs->wake_at)
        return;
    if (timer_arm(rs->event, &rs->timer, when > now ? when - now : 0, rs->on_wake, rs) < 0)
        log_error("no memory to look after rollouts; the next look is at the next sweep");
    else
        rs->wake_at = when;
}

void rollouts_wake(Rollouts *rs)
{
    usec_t now = boottime_usec();
    if (map_size(rs->map) > 0)
        rollouts_wake_at(rs, now + WAKE_DELAY, now);
}

/* The end of a load that was asked for. When the database is only away, everything is loaded once it is back. */
static void reload_ended(Rollouts *rs, int r, const Error *err)
{
    rs->stale = r < 0 && r != -ENOTCONN;
    if (rs->stale)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "cannot load the rollouts, trying again at the next sweep");
    if (r >= 0 && rs->reload_again)
        rollouts_reload(rs);
}

static void on_boxes_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Rollouts *rs = userdata;
    rs->reload = NULL;
    if (r >= 0)
        r = rollouts_adopt_boxes(rs, rows);
    reload_ended(rs, r, err);
    rs->on_loaded(rs);
}

static void on_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Rollouts *rs = userdata;
    Error why = {};
    rs->reload = NULL;
    if (r >= 0)
        r = rollouts_adopt(rs, rows);
    if (r >= 0)
        r = store_query(rs->store, sql_rollout_boxes(), on_boxes_loaded, rs, &rs->reload, &why);
    if (r < 0)
        reload_ended(rs, r, why.id ? &why : err);
    error_done(&why);
}

void rollouts_reload(Rollouts *rs)
{
    Error err = {};
    rs->reload_again = rs->reload != NULL;
    if (rs->reload)
        return;
    int r = store_query(rs->store, sql_rollouts_open(), on_loaded, rs, &rs->reload, &err);
    if (r < 0)
        reload_ended(rs, r, &err);
    error_done(&err);
}

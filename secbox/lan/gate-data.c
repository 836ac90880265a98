/* SPDX-License-Identifier: MIT */
/* Four statements in a row fill a new copy; it replaces the old one only when all of them had an answer. */
#include "secbox/lan/gate-data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "secbox/lan/record.h"
#include "secbox/replica/gate-sql.h"
#include "secbox/replica/schema.h"

#define READ_DELAY (500 * USEC_PER_MSEC)
/* The zone's offset changes twice a year, at a full hour. */
#define READ_INTERVAL USEC_PER_HOUR
#define RETRY_DELAY (10 * USEC_PER_SEC)
#define SECONDS_PER_MINUTE 60
#define SECONDS_PER_DAY (24 * 60 * 60)
#define OFFSET_MAX (26 * 60 * 60)
#define FIRST_WEEKDAY 4 /* 1970-01-01 was a Thursday */

typedef struct Copy {
    BanIndex *bans;
    Guard *guards;
    size_t n_guards;
    GateCommunity community;
    int64_t offset; /* seconds east of UTC */
} Copy;

struct GateData {
    Store *store;
    StoreQuery *query; /* of a reading that is under way */
    sd_event *event;
    sd_event_source *timer;
    Copy now, next;
    bool again; /* something changed while it was being read */
    void (*on_loaded)(void *userdata);
    void *userdata;
};

static void copy_done(Copy *c)
{
    ban_index_free(c->bans);
    for (size_t i = 0; i < c->n_guards; i++) {
        free(c->guards[i].id);
        free(c->guards[i].name);
        free(c->guards[i].pin_hash);
    }
    free(c->guards);
    free(c->community.id);
    free(c->community.name);
    free(c->community.time_zone);
    free(c->community.version);
    free(c->community.pass_jwk);
    key_free(c->community.pass_key);
    *c = (Copy) {};
}

static void read_later(GateData *d, usec_t delay);

static void reading_failed(GateData *d, int r, const Error *err)
{
    copy_done(&d->next);
    if (r != -ENOTCONN) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "the guards' interface goes on with what it has read before");
        read_later(d, RETRY_DELAY);
    }
}

/* Asks the next statement of a reading. */
static void ask(GateData *d, Statement st, store_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    int r = store_query(d->store, st, on_done, d, &d->query, &err);

    if (r < 0)
        reading_failed(d, r, &err);
}

static int take_guard(Guard *g, const StoreRows *rows, size_t i)
{
    int a = store_rows_copy(rows, i, 0, &g->id), b = store_rows_copy(rows, i, 1, &g->name);

    return a < 0 || b < 0 ? -ENOMEM : store_rows_copy(rows, i, 2, &g->pin_hash);
}

static void on_guards(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    GateData *d = userdata;
    size_t n = r < 0 ? 0 : store_rows_count(rows);

    d->query = NULL;
    if (r >= 0 && !(d->next.guards = calloc(n + 1, sizeof(Guard))))
        r = -ENOMEM;
    d->next.n_guards = r < 0 ? 0 : n;
    for (size_t i = 0; i < n && r >= 0; i++)
        r = take_guard(&d->next.guards[i], rows, i);
    if (r < 0) {
        reading_failed(d, r, err);
        return;
    }
    copy_done(&d->now);
    d->now = d->next;
    d->next = (Copy) {};
    read_later(d, d->again ? READ_DELAY : READ_INTERVAL);
    d->again = false;
    d->on_loaded(d->userdata);
}

/* One that cannot be read is not dropped: without it somebody who is banned would be a stranger. */
static int take_ban(BanIndex *bans, const StoreRows *rows, size_t i)
{
    const char *id = store_rows_get(rows, i, 0), *data = store_rows_get(rows, i, 1);

    return id && data ? ban_index_add(bans, id, data, store_rows_true(rows, i, 2)) : -EBADMSG;
}

static void on_bans(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    GateData *d = userdata;

    d->query = NULL;
    d->next.bans = ban_index_new();
    if (!d->next.bans && r >= 0)
        r = -ENOMEM;
    for (size_t i = 0; r >= 0 && i < store_rows_count(rows); i++)
        r = take_ban(d->next.bans, rows, i);
    if (r >= 0)
        r = ban_index_seal(d->next.bans);
    if (r < 0)
        reading_failed(d, r, err);
    else
        ask(d, sql_gate_guards(), on_guards);
}

static void on_offset(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    GateData *d = userdata;
    const char *text = r < 0 ? NULL : store_rows_get(rows, 0, 0);
    int64_t offset = text ? strtoll(text, NULL, 10) : 0;

    d->query = NULL;
    if (r >= 0)
        r = store_rows_copy(rows, 0, 1, &d->next.community.time_zone);
    if (r < 0) {
        reading_failed(d, r, err);
        return;
    }
    d->next.offset = offset > -OFFSET_MAX && offset < OFFSET_MAX ? offset : 0;
    ask(d, sql_gate_bans(), on_bans);
}

/* One that cannot be read is none: nobody comes in by a pass then. */
static int take_pass_key(GateCommunity *c, const cJSON *row)
{
    const cJSON *jwk = cJSON_GetObjectItemCaseSensitive(row, "passKey");
    _cleanup_(error_done) Error err = {};

    if (!cJSON_IsObject(jwk))
        return 0;
    c->pass_jwk = json_print(jwk);
    if (!c->pass_jwk)
        return -ENOMEM;
    int r = key_from_jwk(c->pass_jwk, strlen(c->pass_jwk), &c->pass_key, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "passes of guests cannot be checked");
        free(TAKE_PTR(c->pass_jwk));
    }
    return 0;
}

static int take_community(GateCommunity *c, const StoreRows *rows, char **ret_zone)
{
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;
    const char *data = store_rows_get(rows, 0, 1), *epoch = store_rows_get(rows, 0, 2);
    const char *version = store_rows_get(rows, 0, 3), *id = store_rows_get(rows, 0, 0);
    const char *changes = store_rows_get(rows, 0, 5);
    uint64_t applied = 0;

    if (data && json_parse_object(data, strlen(data), &row, NULL) < 0)
        return -EBADMSG;
    if (store_rows_u64(rows, 0, 4, INT64_MAX / USEC_PER_SEC, &applied) < 0)
        applied = 0; /* no row: nothing was applied yet */
    c->applied_at = applied * USEC_PER_SEC;
    timestamp_format(c->applied_at, c->applied_text);
    c->id = strdup(id ? id : "");
    c->name = strdup(json_string(row, "name") ? json_string(row, "name") : "");
    c->version = str_format("%s-%s-%s", epoch ? epoch : "", version ? version : "", changes ? changes : "");
    *ret_zone = strdup(json_string(row, "timeZone") ? json_string(row, "timeZone") : "");
    return c->id && c->name && c->version && *ret_zone ? take_pass_key(c, row) : -ENOMEM;
}

static void on_community(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    GateData *d = userdata;
    _cleanup_(freep) char *zone = NULL;

    d->query = NULL;
    if (r >= 0)
        r = take_community(&d->next.community, rows, &zone);
    if (r < 0)
        reading_failed(d, r, err);
    else
        ask(d, sql_gate_offset(zone), on_offset);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    GateData *d = userdata;

    if (d->query)
        d->again = true;
    else if (store_is_up(d->store))
        ask(d, sql_gate_community(), on_community);
    return 0;
}

static void read_later(GateData *d, usec_t delay)
{
    if (timer_arm(d->event, &d->timer, delay, on_timer, d) < 0)
        log_warning("the guards' interface cannot set its timer");
}

static void on_up(Store *s _unused_, void *userdata)
{
    read_later(userdata, 0);
}

static void on_down(Store *s _unused_, usec_t retry_in _unused_, const Error *err _unused_, void *userdata)
{
    GateData *d = userdata;

    copy_done(&d->next);
}

static const StoreEvents store_events = { .on_up = on_up, .on_down = on_down };

int gate_data_new(sd_event *event, const char *database_url, void (*on_loaded)(void *userdata), void *userdata,
                  GateData **ret, Error *err)
{
    _cleanup_(gate_data_freep) GateData *d = calloc(1, sizeof(*d));
    int r = 0;

    if (!d)
        return error_from_errno(err, -ENOMEM, "cannot keep the community's data");
    d->event = sd_event_ref(event);
    d->on_loaded = on_loaded;
    d->userdata = userdata;
    if (database_url)
        r = store_new(event, database_url, &replica_schema, &store_events, d, &d->store, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

GateData *gate_data_free(GateData *d)
{
    if (!d)
        return NULL;
    sd_event_source_disable_unref(d->timer);
    store_query_free(d->query);
    store_free(d->store);
    copy_done(&d->now);
    copy_done(&d->next);
    sd_event_unref(d->event);
    free(d);
    return NULL;
}

void gate_data_changed(GateData *d)
{
    if (!d->store)
        return;
    if (d->query)
        d->again = true;
    else
        read_later(d, READ_DELAY);
}

int gate_data_query(GateData *d, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret, Error *err)
{
    if (!gate_data_has_database(d))
        return error_set(err, ENOTCONN, "lan.no-database",
                         "the box's database is away: guests and visits are not known");
    return store_query(d->store, st, on_done, userdata, ret, err);
}

bool gate_data_has_database(const GateData *d)
{
    return d->store && store_is_up(d->store);
}

const BanIndex *gate_data_bans(const GateData *d)
{
    return d->now.bans;
}

size_t gate_data_guards_count(const GateData *d)
{
    return d->now.n_guards;
}

const Guard *gate_data_guard_at(const GateData *d, size_t i)
{
    return &d->now.guards[i];
}

const Guard *gate_data_guard(const GateData *d, const char *id)
{
    for (size_t i = 0; i < d->now.n_guards; i++)
        if (str_equal(d->now.guards[i].id, id))
            return &d->now.guards[i];
    return NULL;
}

const GateCommunity *gate_data_community(const GateData *d)
{
    return &d->now.community;
}

LocalMoment gate_data_moment(const GateData *d, usec_t now)
{
    int64_t seconds = (int64_t) (now / USEC_PER_SEC), local = seconds + d->now.offset;
    int64_t days = local / SECONDS_PER_DAY;

    if (local < 0)
        return (LocalMoment) { .now = seconds };
    return (LocalMoment) {
        .now = seconds,
        .weekday = (unsigned) ((days + FIRST_WEEKDAY) % 7),
        .minute = (unsigned) (local % SECONDS_PER_DAY / SECONDS_PER_MINUTE),
    };
}

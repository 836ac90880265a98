/* SPDX-License-Identifier: MIT */
/* One message at a time, each one query: what it decides is in sync-rules.h and in the functions of the schema. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "secbox/replica/replica-impl.h"
#include "secbox/replica/replica-sql.h"

static void send_applied(Replica *r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("sync.applied");

    replica_enter(r, SYNC_IN_APPLIED);
    r->pause_backoff.tries = 0;
    if (m && (json_add_string(m, "epoch", r->at.epoch) < 0 || json_add_u64(m, "version", r->at.version) < 0))
        m = (cJSON_Delete(m), NULL);
    replica_send(r, TAKE_PTR(m));
}

static void send_got(Replica *r, const SyncMessage *rows)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("snapshot.got");

    if (m && (json_add_string(m, "snapshot", rows->snapshot) < 0 || json_add_u64(m, "index", rows->index) < 0))
        m = (cJSON_Delete(m), NULL);
    replica_send(r, TAKE_PTR(m));
}

/* The step's message, and whether it still concerns anybody: the tunnel may have come anew meanwhile. */
static SyncItem *finish_step(Replica *r, int result, const Error *err)
{
    bool same = r->query_generation == r->generation;
    SyncItem *item = TAKE_PTR(r->item);

    if (replica_end_query(r, result, err) < 0 || !same) {
        free(item);
        return NULL;
    }
    return item;
}

/* begin */

static void on_unstaged(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;

    (void) q;
    (void) rows;
    free(finish_step(r, result, err));
    replica_pump(r);
}

static bool step_begin(Replica *r, SyncItem *item)
{
    const SyncMessage *m = &item->message;

    switch (sync_judge_begin(&r->at, m)) {
    case SYNC_DUPLICATE:
        send_applied(r);
        return false;
    case SYNC_OTHER_EPOCH:
        replica_refuse(r, "epoch", 0);
        return false;
    default:
        break;
    }
    replica_enter(r, SYNC_IN_BEGIN);
    r->snapshot.active = true;
    r->snapshot.begin = *m;
    r->snapshot.next = 0;
    replica_expect_rows(r);
    return replica_begin_query(r, sql_replica_unstage(), on_unstaged) >= 0;
}

/* rows */

static void on_staged(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;
    SyncItem *item = finish_step(r, result, err);

    (void) q;
    (void) rows;
    if (item && r->snapshot.active) {
        r->snapshot.next = item->message.index + 1;
        send_got(r, &item->message);
    }
    free(item);
    replica_pump(r);
}

static bool step_rows(Replica *r, SyncItem *item)
{
    const SyncMessage *m = &item->message;

    if (!r->snapshot.active || !str_equal(m->snapshot, r->snapshot.begin.snapshot))
        return false;
    if (m->index > r->snapshot.next) {
        replica_refuse(r, "gap", 0);
        return false;
    }
    if (m->index < r->snapshot.next || !(m->tables & r->snapshot.begin.tables)) {
        /* twice, or of a table that a later program knows */
        r->snapshot.next += m->index == r->snapshot.next;
        send_got(r, m);
        return false;
    }
    return replica_begin_query(r, sql_replica_stage(item->text), on_staged) >= 0;
}

/* end */

/* Bans first among what is told: they are what a box must know. */
static void tell_swapped(Replica *r, const SyncMessage *begin)
{
    log_notice("community data: %s of version %" PRIu64 " is in place (%" PRIu64 " guests, %" PRIu64 " bans)",
               begin->tables == SYNC_ALL_TABLES ? "a snapshot" : "a part", begin->version,
               begin->sums[SYNC_GUESTS].count, begin->sums[SYNC_BANS].count);
    r->events.on_change(r, r->userdata);
    r->events.on_data(r, r->userdata);
}

static void swapped(Replica *r)
{
    const SyncMessage *begin = &r->snapshot.begin;

    r->snapshot.active = false;
    r->ask = sd_event_source_disable_unref(r->ask);
    r->ask_backoff.tries = 0;
    r->next_ask = 0;
    if (begin->tables == SYNC_ALL_TABLES) {
        r->at = (SyncCursor) { .known = true, .version = begin->version };
        memcpy(r->at.community, begin->community, UUID_SIZE);
        memcpy(r->at.epoch, begin->epoch, UUID_SIZE);
    }
    sync_inbox_prepend(&r->inbox, &r->held);
    tell_swapped(r, begin);
    if (r->query_generation == r->generation)
        send_applied(r);
}

static void on_swapped(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;
    const char *verdict = result < 0 ? NULL : store_rows_get(rows, 0, 0);

    (void) q;
    free(TAKE_PTR(r->item));
    if (replica_end_query(r, result, err) < 0) {
        replica_pump(r);
        return;
    }
    if (str_equal(verdict, "ok")) {
        swapped(r);
    } else if (r->query_generation == r->generation) {
        unsigned tables = r->snapshot.begin.tables == SYNC_ALL_TABLES ? 0 : r->snapshot.begin.tables;
        if (str_equal(verdict, "old")) {
            replica_lose(r); /* another program has moved the replica on: look again */
            r->loaded = false;
        } else
            replica_refuse(r,
                           str_equal(verdict, "count")   ? "count"
                           : str_equal(verdict, "epoch") ? "epoch"
                                                         : "checksum",
                           str_equal(verdict, "epoch") ? 0 : tables);
    }
    replica_pump(r);
}

static char *print_sums(const SyncMessage *begin)
{
    Buf b = BUF_INIT(1024);
    int result = buf_puts(&b, "[");

    for (int t = 0; t < _SYNC_TABLES && result >= 0; t++)
        if (begin->tables & (1U << t))
            result =
                buf_printf(&b, "%s{\"table\":\"%s\",\"count\":%" PRIu64 ",\"checksum\":\"%s\"}", b.len > 1 ? "," : "",
                           sync_table_name((SyncTable) t), begin->sums[t].count, begin->sums[t].checksum);
    if (result >= 0)
        result = buf_puts(&b, "]");
    if (result < 0)
        buf_done(&b);
    return result < 0 ? NULL : buf_take(&b);
}

static bool step_end(Replica *r, SyncItem *item)
{
    const SyncMessage *m = &item->message, *begin = &r->snapshot.begin;

    if (!r->snapshot.active || !str_equal(m->snapshot, begin->snapshot))
        return false;
    if (m->chunks != r->snapshot.next) {
        replica_refuse(r, "count", begin->tables == SYNC_ALL_TABLES ? 0 : begin->tables);
        return false;
    }
    _cleanup_(freep) char *sums = print_sums(begin);
    if (!sums) {
        replica_pause(r);
        return false;
    }
    return replica_begin_query(r,
                               sql_replica_swap(begin->snapshot, begin->community, begin->epoch, begin->version, sums),
                               on_swapped) >= 0;
}

/* delta */

/* What was not applied with the others is next, unless the tunnel has come anew meanwhile: then it comes again. */
static void put_back(Replica *r)
{
    if (r->query_generation == r->generation)
        sync_inbox_prepend(&r->inbox, &r->batch);
    else
        sync_inbox_clear(&r->batch);
}

static void deltas_applied(Replica *r, uint64_t version, bool changed)
{
    r->at.version = version;
    while (r->batch.first && r->batch.first->message.to <= version)
        free(sync_inbox_pop(&r->batch));
    put_back(r);
    if (changed)
        r->events.on_data(r, r->userdata);
    if (r->query_generation == r->generation)
        send_applied(r);
}

static void on_deltas(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;
    const char *verdict = result < 0 ? NULL : store_rows_get(rows, 0, 0);
    uint64_t version = 0;

    (void) q;
    free(TAKE_PTR(r->item));
    if (result < 0)
        put_back(r);
    if (replica_end_query(r, result, err) >= 0) {
        bool changed = str_equal(verdict, "ok");
        if ((changed || str_equal(verdict, "duplicate")) && store_rows_u64(rows, 0, 1, INT64_MAX, &version) >= 0) {
            deltas_applied(r, version, changed);
        } else {
            put_back(r);
            if (r->query_generation == r->generation)
                replica_refuse(r, str_equal(verdict, "epoch") ? "epoch" : "gap", 0);
        }
    }
    replica_pump(r);
}

/* Changes that wait behind `item` and continue it go into the batch. */
static void gather(Replica *r, const SyncItem *item)
{
    const SyncMessage *last = &item->message;
    size_t bytes = item->len;

    for (SyncItem *next = r->inbox.first; next; next = r->inbox.first) {
        const SyncMessage *m = &next->message;
        if (m->kind != SYNC_DELTA || m->from != last->to || !str_equal(m->epoch, last->epoch) ||
            !str_equal(m->community, last->community) || (bytes += next->len) > REPLICA_BATCH_BYTES_MAX)
            return;
        next = sync_inbox_pop(&r->inbox);
        last = &next->message;
        if (sync_inbox_append(&r->batch, next) < 0) { /* cannot be: the bound is the same */
            free(next);
            r->overflowed = true;
            return;
        }
    }
}

/* One JSON array of the texts of `item` and the batch. New string. */
static char *print_deltas(const SyncItem *item, const SyncInbox *batch)
{
    Buf b = BUF_INIT(REPLICA_BATCH_BYTES_MAX + item->len + 1024);
    int result = buf_puts(&b, "[");

    if (result >= 0)
        result = buf_puts(&b, item->text);
    for (const SyncItem *next = batch->first; next && result >= 0; next = next->next) {
        result = buf_puts(&b, ",");
        if (result >= 0)
            result = buf_puts(&b, next->text);
    }
    if (result >= 0)
        result = buf_puts(&b, "]");
    if (result < 0)
        buf_done(&b);
    return result < 0 ? NULL : buf_take(&b);
}

static bool apply_deltas(Replica *r, const SyncItem *item)
{
    gather(r, item);
    _cleanup_(freep) char *messages = print_deltas(item, &r->batch);

    if (messages && replica_begin_query(r, sql_replica_deltas(messages), on_deltas) >= 0)
        return true;
    sync_inbox_clear(&r->batch);
    if (!messages)
        replica_pause(r);
    return false;
}

/* True: it was taken. */
static bool hold(Replica *r, SyncItem *item)
{
    if (sync_inbox_append(&r->held, item) >= 0)
        return true;
    r->overflowed = true;
    return false;
}

static bool step_delta(Replica *r, SyncItem *item)
{
    switch (sync_judge_delta(&r->at, &item->message)) {
    case SYNC_DUPLICATE:
        send_applied(r);
        return false;
    case SYNC_GAP:
        replica_refuse(r, "gap", 0);
        return false;
    case SYNC_OTHER_EPOCH:
        replica_refuse(r, "epoch", 0);
        return false;
    default:
        return apply_deltas(r, item);
    }
}

/* check */

static void on_checked(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;

    (void) q;
    (void) rows;
    free(finish_step(r, result, err));
    replica_pump(r);
}

/* Bits of the tables that differ. */
static unsigned compare(const StoreRows *rows, const SyncMessage *check, bool *ret_counts)
{
    unsigned differ = 0;

    for (size_t i = 0; i < store_rows_count(rows); i++) {
        int t = sync_table_find(store_rows_get(rows, i, 0));
        uint64_t count = 0;

        if (t < 0 || !(check->tables & (1U << t)))
            continue;
        bool counted = store_rows_u64(rows, i, 1, INT64_MAX, &count) >= 0 && count == check->sums[t].count;
        if (counted && str_equal(store_rows_get(rows, i, 2), check->sums[t].checksum))
            continue;
        differ |= 1U << t;
        *ret_counts |= !counted;
    }
    return differ;
}

static void on_sums(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;
    SyncItem *item = finish_step(r, result, err);
    bool counts = false;

    (void) q;
    if (item) {
        unsigned differ = compare(rows, &item->message, &counts);
        if (differ) {
            replica_refuse(r, counts ? "count" : "checksum", differ);
        } else {
            replica_enter(r, SYNC_IN_APPLIED);
            (void) replica_begin_query(r, sql_replica_checked(), on_checked);
        }
    }
    free(item);
    replica_pump(r);
}

static bool step_check(Replica *r, SyncItem *item)
{
    if (sync_holds_deltas(r->state) || !sync_check_applies(&r->at, &item->message))
        return false;
    r->check = item->message;
    return replica_begin_query(r, sql_replica_sums(), on_sums) >= 0;
}

static bool step_none(Replica *r, SyncItem *item)
{
    (void) item;
    r->snapshot.active = false;
    sync_inbox_clear(&r->held);
    replica_enter(r, SYNC_IN_NONE);
    return false;
}

bool replica_step(Replica *r, SyncItem *item)
{
    static bool (*const steps[])(Replica * r, SyncItem * item) = {
        [SYNC_NONE] = step_none, [SYNC_BEGIN] = step_begin, [SYNC_ROWS] = step_rows,
        [SYNC_END] = step_end,   [SYNC_DELTA] = step_delta, [SYNC_CHECK] = step_check,
    };

    if (item->message.kind == SYNC_DELTA && sync_holds_deltas(r->state)) {
        if (!hold(r, item))
            free(item);
        return false;
    }
    if (steps[item->message.kind](r, item)) {
        r->item = item;
        return true;
    }
    free(item);
    return false;
}

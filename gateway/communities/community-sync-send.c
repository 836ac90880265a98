/* SPDX-License-Identifier: MIT */
/* What a box is sent next. One question to the database at a time, and a window on what was sent and not confirmed, so that a box
 * costs a bounded amount of memory. */
#include <errno.h>
#include <string.h>

#include "gateway/communities/community-sync-impl.h"
#include "gateway/store/sync-table.h"
#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

#define CHUNKS_AHEAD 4
#define CHANGES_AHEAD 1000
#define CHECK_INTERVAL (10 * USEC_PER_MINUTE)

void sync_box_drop_snapshot(SyncBox *b)
{
    free(b->snapshot.id);
    free(b->snapshot.tables);
    b->snapshot = (SnapshotProgress) {};
}

static DeviceConn *connection_of(const SyncBox *b)
{
    DeviceConn *s = device_conn_find(b->owner->conns, b->device, ROLE_DEVICE);
    return s && device_conn_number(s) == b->connection ? s : NULL;
}

/* Whether it is on its way. What finds the queue full is asked for again later. */
static bool send_text(const SyncBox *b, const char *text)
{
    DeviceConn *s = connection_of(b);
    int r = s && text ? device_conn_send_text(s, text) : -ENOTCONN;
    if (r < 0 && r != -ENOTCONN && r != -ENOBUFS)
        log_failure(LOG_LEVEL_WARNING, NULL, NULL, r, "cannot send %s community data", b->device);
    return r >= 0;
}

static void ask(SyncBox *b, Statement st, store_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    int r = store_query(b->owner->store, st, on_done, b, &b->query, &err);
    if (r < 0)
        log_debug("community data for %s waits: %s", b->device, error_message(&err, r));
}

/* The end of each question: whether there is an answer. */
static bool answered(SyncBox *b, int r, const Error *err)
{
    b->query = NULL;
    if (r < 0)
        log_failure(r == -ENOTCONN ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, NULL, err, r,
                    "cannot read community data for %s, trying again", b->device);
    return r >= 0;
}

/* The same, of what was asked for a box that is still to be sent it. */
static bool useful(SyncBox *b, int r, const Error *err)
{
    if (!answered(b, r, err))
        return false;
    if (b->lookup_wanted)
        sync_box_step(b);
    return !b->lookup_wanted;
}

static void send_none(const SyncBox *b, const char *reason)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("sync.none");
    DeviceConn *s = connection_of(b);
    if (s && m && cJSON_AddStringToObject(m, "reason", reason) && device_conn_send(s, m) < 0)
        log_debug("%s is not told that it serves no community", b->device);
}

/* What a box has is of use when it continues in the log. */
static void begin(SyncBox *b, const BoxCommunityRow *row)
{
    bool same = b->follows && str_equal(b->community, row->community) && str_equal(b->epoch, row->epoch);
    b->newest = row->version;
    if (same) /* what is under way goes on */
        return;
    bool usable = str_equal(b->have_community, row->community) && str_equal(b->have_epoch, row->epoch) &&
                  b->applied >= row->log_floor && b->applied > 0;
    b->follows = true;
    memcpy(b->community, row->community, UUID_SIZE);
    memcpy(b->epoch, row->epoch, UUID_SIZE);
    sync_box_drop_snapshot(b);
    if (!usable) /* some tables alone would not do */
        b->tables_wanted = (free(b->tables_wanted), NULL);
    b->snapshot_wanted = !usable || b->snapshot_wanted;
    b->sent = usable ? b->applied : 0;
    b->applied = b->sent;
    b->check_wanted = false;
    b->checked = boottime_usec() - random_below(CHECK_INTERVAL); /* not all boxes at once */
}

static void on_epoch(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    if (!answered(b, r, err))
        return;
    b->doubted = true;
    uint64_t version;
    if (store_rows_count(rows) == 0 || store_rows_u64(rows, 0, 1, INT64_MAX, &version) < 0)
        return; /* it was renewed lately: at the next sweep again */
    community_sync_changed(b->owner, store_rows_get(rows, 0, 2), store_rows_get(rows, 0, 0), version);
    sync_box_step(b);
}

/* The database was brought back from an older copy: what boxes have since is another history. Or the box is wrong, which is why
 * its word alone does not let all boxes begin anew again and again. */
static void doubt(SyncBox *b, const BoxCommunityRow *row)
{
    ask(b, sql_epoch_renew(row->community, row->epoch, b->applied, b->device, !b->doubted), on_epoch);
}

static void on_served(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    BoxCommunityRow row = {};
    if (!answered(b, r, err) || store_rows_count(rows) == 0 || box_community_row(rows, &row) < 0)
        return;
    if (!row.community) {
        b->lookup_wanted = b->follows = b->snapshot_wanted = false;
        sync_box_drop_snapshot(b);
        b->tables_wanted = (free(b->tables_wanted), NULL);
        send_none(b, row.label ? "there is no community with the id in the box's label"
                               : "the box has no label community");
        return;
    }
    if (str_equal(b->have_epoch, row.epoch) && b->applied > row.version) {
        doubt(b, &row);
        return;
    }
    b->lookup_wanted = false;
    begin(b, &row);
    sync_box_step(b);
}

static void look_up_again(SyncBox *b)
{
    b->lookup_wanted = true;
    b->follows = false;
    if (b->snapshot.id && !b->snapshot_wanted) { /* it is still wanted, in another form */
        b->snapshot_wanted = true;
        b->tables_wanted = TAKE_PTR(b->snapshot.tables);
    }
    sync_box_drop_snapshot(b);
    sync_box_step(b);
}

static void on_delta(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    uint64_t to;
    if (!useful(b, r, err))
        return;
    if (store_rows_count(rows) == 0) {
        look_up_again(b);
    } else if (store_rows_u64(rows, 0, 1, INT64_MAX, &to) >= 0 && send_text(b, store_rows_get(rows, 0, 0))) {
        b->sent = to;
        sync_box_step(b);
    }
}

static void on_check(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    uint64_t version;
    if (!useful(b, r, err))
        return;
    if (store_rows_u64(rows, 0, 2, INT64_MAX, &version) < 0 || version < b->sent ||
        !str_equal(store_rows_get(rows, 0, 1), b->epoch)) {
        look_up_again(b);
        return;
    }
    b->newest = version;
    b->check_wanted = version > b->sent; /* of what the box will have soon */
    if (!b->check_wanted && send_text(b, store_rows_get(rows, 0, 0)))
        b->checked = boottime_usec();
    sync_box_step(b);
}

static void on_snapshot(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    SnapshotProgress s = {};
    if (!useful(b, r, err))
        return;
    if (store_rows_count(rows) == 0 || !str_equal(store_rows_get(rows, 0, 1), b->epoch) ||
        store_rows_u64(rows, 0, 2, INT64_MAX, &s.version) < 0) {
        look_up_again(b);
        return;
    }
    if (store_rows_copy(rows, 0, 0, &s.id) < 0)
        return;
    s.tables = TAKE_PTR(b->tables_wanted);
    b->snapshot_wanted = false;
    b->snapshot = s;
    if (s.version > b->newest)
        b->newest = s.version;
    sync_box_step(b);
}

static void on_begin(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    if (!useful(b, r, err))
        return;
    if (store_rows_count(rows) == 0 || store_rows_u64(rows, 0, 1, INT32_MAX, &b->snapshot.chunks) < 0) {
        look_up_again(b);
    } else if (send_text(b, store_rows_get(rows, 0, 0))) {
        b->snapshot.begun = true;
        sync_box_step(b);
    }
}

static void on_rows(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    if (!useful(b, r, err))
        return;
    if (store_rows_count(rows) == 0) {
        look_up_again(b); /* it was dropped meanwhile */
    } else if (send_text(b, store_rows_get(rows, 0, 0))) {
        b->snapshot.next++;
        sync_box_step(b);
    }
}

static void end_snapshot(SyncBox *b)
{
    _cleanup_(freep) char *text = str_format("{\"type\":\"snapshot.end\",\"snapshot\":\"%s\",\"chunks\":%llu}",
                                             b->snapshot.id, (unsigned long long) b->snapshot.chunks);
    if (!send_text(b, text))
        return;
    if (!b->snapshot.tables) {
        b->sent = b->snapshot.version;
        b->applied = b->applied < b->sent ? b->applied : b->sent;
    }
    b->check_wanted = true;
    sync_box_drop_snapshot(b);
    sync_box_step(b);
}

/* Some tables fit only what the box has otherwise: it is brought to the snapshot's version before. */
static void step_snapshot(SyncBox *b)
{
    const SnapshotProgress *s = &b->snapshot;
    if (!s->begun && s->tables && b->sent < s->version)
        ask(b, sql_delta(b->community, b->epoch, b->sent, s->version), on_delta);
    else if (!s->begun && s->tables && b->sent > s->version)
        look_up_again(b);
    else if (!s->begun)
        ask(b, sql_snapshot_begin(s->id, s->tables), on_begin);
    else if (s->next == s->chunks)
        end_snapshot(b);
    else if (s->next < s->got + CHUNKS_AHEAD)
        ask(b, sql_snapshot_rows(s->id, s->tables, s->next), on_rows);
}

void sync_box_step(SyncBox *b)
{
    usec_t now = boottime_usec();
    if (b->query || !store_is_up(b->owner->store) || !connection_of(b))
        return;
    if (b->lookup_wanted)
        ask(b, sql_box_community(b->device), on_served);
    else if (!b->follows)
        return;
    else if (b->snapshot_wanted && token_bucket_take(&b->snapshots, now)) {
        sync_box_drop_snapshot(b);
        ask(b, sql_snapshot(b->community, b->sent > b->applied ? b->sent : b->applied), on_snapshot);
    } else if (b->snapshot_wanted)
        return; /* it asks too often: at the next sweep */
    else if (b->snapshot.id)
        step_snapshot(b);
    else if (b->sent < b->newest && b->sent < b->applied + CHANGES_AHEAD)
        ask(b, sql_delta(b->community, b->epoch, b->sent, INT64_MAX), on_delta);
    else if (b->sent == b->newest && (b->check_wanted || now - b->checked > CHECK_INTERVAL))
        ask(b, sql_sync_check(b->community), on_check);
}

/* SPDX-License-Identifier: MIT */
/* See community-sync.h: the boxes that keep a copy, and what they say of it. */
#include "gateway/communities/community-sync.h"

#include <errno.h>
#include <string.h>

#include "gateway/communities/community-sync-impl.h"
#include "gateway/store/sync-table.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define SNAPSHOTS_AT_ONCE 4
#define TIDY_INTERVAL (10 * USEC_PER_MINUTE)
#define VERSION_MAX INT64_MAX
#define DEVICE_LIST_MAX (GATEWAY_CONNECTIONS_MAX * (size_t) 80)

static void sync_box_free(void *box)
{
    SyncBox *b = box;
    b->query = store_query_free(b->query);
    b->note.query = store_query_free(b->note.query);
    sync_box_drop_snapshot(b);
    free(b->tables_wanted);
    free(b->device);
    free(b);
}

static SyncBox *sync_box_new(CommunitySync *cs, const DeviceConn *s)
{
    SyncBox *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->owner = cs;
    b->connection = device_conn_number(s);
    b->snapshots = token_bucket_make(1, SNAPSHOTS_AT_ONCE, boottime_usec());
    b->device = strdup(device_conn_device(s));
    if (!b->device || map_put(cs->boxes, b->device, b) < 0) {
        sync_box_free(b);
        return NULL;
    }
    return b;
}

/* A box that says anew what it has begins anew, but for what bounds what it may ask for. */
static void sync_box_begin_anew(SyncBox *b)
{
    store_query_free(b->query);
    sync_box_drop_snapshot(b);
    free(b->tables_wanted);
    *b = (SyncBox) { .owner = b->owner,
                     .device = b->device,
                     .connection = b->connection,
                     .snapshots = b->snapshots,
                     .note = b->note,
                     .doubted = b->doubted };
}

/* The box behind this connection, if it has said what it has on it. */
static SyncBox *box_of(const CommunitySync *cs, const DeviceConn *s)
{
    SyncBox *b = map_get(cs->boxes, device_conn_device(s));
    return b && b->connection == device_conn_number(s) ? b : NULL;
}

static int write_position(SyncBox *b, bool has, store_done_t on_done, StoreQuery **ret)
{
    _cleanup_(error_done) Error err = {};
    bool something = b->have_community[0] && b->have_epoch[0];
    const BoxReplica p = {
        .device = b->device,
        .community = something ? b->have_community : NULL,
        .epoch = something ? b->have_epoch : NULL,
        .version = b->applied,
        .has = has,
    };
    int r = store_query(b->owner->store, sql_box_applied(&p), on_done, b, ret, &err);
    if (r < 0)
        log_debug("what %s has is not recorded: %s", b->device, error_message(&err, r));
    return r;
}

static void on_noted(StoreQuery *q, int r, const StoreRows *rows, const Error *err, void *userdata);

/* Writes what waits to be written; what could not be is tried again at the next sweep. */
static void write_note(SyncBox *b)
{
    ReplicaReport *n = &b->note;
    if (!n->wanted || n->query || write_position(b, n->wanted_has, on_noted, &n->query) < 0)
        return;
    n->has = n->wanted_has;
    n->wanted = n->wanted_has = false;
}

static void note_position(SyncBox *b, bool has)
{
    b->note.wanted = true;
    b->note.wanted_has |= has;
    write_note(b);
}

static void on_noted(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err, void *userdata)
{
    SyncBox *b = userdata;
    b->note.query = NULL;
    if (r >= 0) {
        write_note(b);
        return;
    }
    log_debug("what %s has is not recorded: %s", b->device, error_message(err, r));
    b->note.wanted = true;
    b->note.wanted_has |= b->note.has;
}

/* The last one goes its way without the box. */
static void note_end(SyncBox *b)
{
    const ReplicaReport *n = &b->note;
    if (n->query || n->wanted || (b->follows && b->applied == b->newest)) /* until now it was up to date */
        (void) !write_position(b, (n->query && n->has) || n->wanted_has, NULL, NULL);
}

static void on_have(DeviceConn *s, const cJSON *message, void *userdata)
{
    CommunitySync *cs = userdata;
    uint64_t version;
    if (device_conn_role(s) != ROLE_DEVICE || json_u64(message, "version", &version) < 0 || version > VERSION_MAX)
        return;
    SyncBox *b = box_of(cs, s);
    if (b)
        sync_box_begin_anew(b);
    else
        b = sync_box_new(cs, s);
    if (!b)
        return;
    b->applied = version;
    b->lookup_wanted = true;
    if (uuid_parse(json_string(message, "community"), b->have_community) < 0 ||
        uuid_parse(json_string(message, "epoch"), b->have_epoch) < 0) {
        b->have_community[0] = b->have_epoch[0] = '\0';
        b->applied = 0;
    }
    note_position(b, true);
    sync_box_step(b);
}

static void on_got(DeviceConn *s, const cJSON *message, void *userdata)
{
    SyncBox *b = box_of(userdata, s);
    uint64_t index;
    if (!b || !str_equal(json_string(message, "snapshot"), b->snapshot.id) || json_u64(message, "index", &index) < 0 ||
        index >= b->snapshot.next || index + 1 <= b->snapshot.got)
        return;
    b->snapshot.got = index + 1;
    sync_box_step(b);
}

/* A box may only claim what it was sent, and has not claimed before. */
static void on_applied(DeviceConn *s, const cJSON *message, void *userdata)
{
    SyncBox *b = box_of(userdata, s);
    char epoch[UUID_SIZE];
    uint64_t version;
    if (!b || !b->follows || json_u64(message, "version", &version) < 0 || version > b->sent || version <= b->applied ||
        uuid_parse(json_string(message, "epoch"), epoch) < 0 || !str_equal(epoch, b->epoch))
        return;
    b->applied = version;
    memcpy(b->have_community, b->community, UUID_SIZE);
    memcpy(b->have_epoch, epoch, UUID_SIZE);
    note_position(b, false);
    sync_box_step(b);
}

/* "{bans,units}" of the message's `tables`; NULL stands for all, and for names that are not known. */
static int tables_wanted(const cJSON *message, char **ret)
{
    const cJSON *i, *list = cJSON_GetObjectItemCaseSensitive(message, "tables");
    unsigned wanted = 0;
    _cleanup_(strv_freep) char **names = NULL;
    *ret = NULL;
    cJSON_ArrayForEach(i, list) {
        RowKind kind;
        if (row_kind_parse(cJSON_GetStringValue(i), &kind) < 0)
            return 0;
        wanted |= 1U << kind;
    }
    for (RowKind k = 0; k < _ROW_KIND_COUNT; k++)
        if ((wanted & 1U << k) && strv_add(&names, row_kind_name(k)) < 0)
            return -ENOMEM;
    if (!names)
        return 0;
    _cleanup_(freep) char *joined = strv_join(names, ",");
    *ret = joined ? str_format("{%s}", joined) : NULL;
    return *ret ? 0 : -ENOMEM;
}

static void on_resnapshot(DeviceConn *s, const cJSON *message, void *userdata)
{
    SyncBox *b = box_of(userdata, s);
    char *tables = NULL;
    if (!b || tables_wanted(message, &tables) < 0)
        return;
    const LogField fields[] = { { "DEVICE", b->device }, {} };
    log_line(LOG_LEVEL_NOTICE, fields, "%s asks for %s%s again: %.64s", b->device,
             tables ? "the tables " : "all tables", tables ? tables : "", json_string(message, "reason"));
    /* one that waits already for all of them is not made smaller */
    bool all = !tables || (b->snapshot_wanted && !b->tables_wanted);
    free(b->tables_wanted);
    b->tables_wanted = all ? NULL : TAKE_PTR(tables);
    free(tables);
    b->snapshot_wanted = true;
    sync_box_step(b);
}

static void on_gone(DeviceConn *s, void *userdata)
{
    CommunitySync *cs = userdata;
    SyncBox *b = box_of(cs, s);
    if (!b)
        return;
    note_end(b);
    map_take(cs->boxes, b->device);
    sync_box_free(b);
}

static void on_relabelled(const char *device, void *userdata)
{
    CommunitySync *cs = userdata;
    SyncBox *b = map_get(cs->boxes, device);
    if (!b)
        return;
    b->lookup_wanted = true;
    sync_box_step(b);
}

void community_sync_changed(CommunitySync *cs, const char *community, const char *epoch, uint64_t version)
{
    void *value;
    for (size_t i = 0; map_next(cs->boxes, &i, NULL, &value);) {
        SyncBox *b = value;
        if (!b->follows || !str_equal(b->community, community))
            continue;
        if (!str_equal(b->epoch, epoch))
            b->lookup_wanted = true;
        else if (version > b->newest)
            b->newest = version;
        sync_box_step(b);
    }
}

static void on_changed(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err _unused_, void *userdata)
{
    uint64_t version;
    for (size_t i = 0; r >= 0 && i < store_rows_count(rows); i++)
        if (store_rows_u64(rows, i, 2, INT64_MAX, &version) >= 0)
            community_sync_changed(userdata, store_rows_get(rows, i, 0), store_rows_get(rows, i, 1), version);
}

static void on_aged(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err, void *userdata)
{
    CommunitySync *cs = userdata;
    cs->aging = false;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "cannot see how old the bans of boxes are");
}

static void look_at_ages(CommunitySync *cs)
{
    const char *device;
    _cleanup_(buf_done) Buf list = BUF_INIT(DEVICE_LIST_MAX);
    int r = buf_puts(&list, "{");
    for (size_t i = 0; r >= 0 && map_next(cs->boxes, &i, &device, NULL);) /* ids need no quotes */
        r = buf_printf(&list, "%s\"%s\"", list.len > 1 ? "," : "", device);
    if (r >= 0)
        r = buf_puts(&list, "}");
    if (r >= 0)
        r = store_query(
            cs->store,
            sql_bans_age(list.data, cs->options.behind_max / USEC_PER_SEC, cs->options.away_max / USEC_PER_SEC),
            on_aged, cs, NULL, NULL);
    cs->aging = r >= 0;
}

void community_sync_sweep(CommunitySync *cs)
{
    usec_t now = boottime_usec();
    void *value;
    if (store_is_busy(cs->store))
        return;
    for (size_t i = 0; map_next(cs->boxes, &i, NULL, &value);) {
        write_note(value);
        sync_box_step(value);
    }
    if (map_size(cs->boxes) > 0) /* what another program wrote */
        (void) !store_query(cs->store, sql_communities_changed(), on_changed, cs, NULL, NULL);
    if (!cs->aging)
        look_at_ages(cs);
    if (!cs->tidied || now - cs->tidied > TIDY_INTERVAL) {
        cs->tidied = now;
        (void) !store_query(cs->store, sql_sync_tidy(), NULL, NULL, NULL, NULL);
    }
}

bool community_sync_has_box(const CommunitySync *cs, const char *device)
{
    return map_get(cs->boxes, device) != NULL;
}

CommunitySync *community_sync_new(Store *store, DeviceConns *conns, const CommunitySyncOptions *options)
{
    static const DeviceMessage messages[] = {
        { "sync.have", false, on_have },
        { "snapshot.got", false, on_got },
        { "sync.applied", false, on_applied },
        { "sync.resnapshot", false, on_resnapshot },
        {},
    };
    static const DeviceListener listener = {
        .messages = messages,
        .on_gone = on_gone,
        .on_relabelled = on_relabelled,
    };
    CommunitySync *cs = calloc(1, sizeof(*cs));
    if (!cs)
        return NULL;
    *cs = (CommunitySync) { .store = store, .conns = conns, .options = *options, .boxes = map_new(sync_box_free) };
    if (!cs->boxes || device_conns_listen(conns, &listener, cs) < 0)
        return community_sync_free(cs);
    return cs;
}

CommunitySync *community_sync_free(CommunitySync *cs)
{
    if (!cs)
        return NULL;
    map_free(cs->boxes);
    free(cs);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/replica/sync-message.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

const char *sync_table_name(SyncTable t)
{
    static const char *const names[] = {
        [SYNC_COMMUNITIES] = "communities", [SYNC_UNITS] = "units", [SYNC_USERS] = "users",
        [SYNC_GUESTS] = "guests",           [SYNC_BANS] = "bans",
    };

    return names[t];
}

int sync_table_find(const char *name)
{
    for (int t = 0; t < _SYNC_TABLES; t++)
        if (str_equal(sync_table_name((SyncTable) t), name))
            return t;
    return -ENOENT;
}

static int read_uuid(const cJSON *o, const char *key, char *ret, Error *err)
{
    const char *text = json_string(o, key);

    if (!uuid_is_valid(text))
        return error_set_at(err, EBADMSG, "sync.bad-message", NULL, 0, key, "the member \"%s\" must be a UUID", key);
    memcpy(ret, text, UUID_SIZE);
    return 0;
}

static int read_number(const cJSON *o, const char *key, uint64_t *ret, Error *err)
{
    if (json_u64(o, key, ret) < 0 || *ret > INT64_MAX)
        return error_set_at(err, EBADMSG, "sync.bad-message", NULL, 0, key,
                            "the member \"%s\" must be a whole number below 2^63", key);
    return 0;
}

static int read_snapshot(const cJSON *o, char *ret, Error *err)
{
    const char *text = json_string(o, "snapshot");
    size_t len = text ? strlen(text) : 0;

    if (len == 0 || len >= SYNC_SNAPSHOT_ID_SIZE)
        return error_set_at(err, EBADMSG, "sync.bad-message", NULL, 0, "snapshot",
                            "the member \"snapshot\" must have 1 to %d characters", SYNC_SNAPSHOT_ID_SIZE - 1);
    memcpy(ret, text, len + 1);
    return 0;
}

static int read_checksum(const char *text, char *ret)
{
    if (!text || strlen(text) != 16)
        return -EBADMSG;
    for (size_t i = 0; i <= 16; i++)
        ret[i] = (char) tolower((unsigned char) text[i]);
    return strspn(ret, "0123456789abcdef") == 16 ? 0 : -EBADMSG;
}

static int read_sums(const cJSON *message, SyncMessage *m, Error *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(message, "tables"), *item;

    cJSON_ArrayForEach(item, array) {
        int t = sync_table_find(json_string(item, "table"));
        SyncSum sum = {};

        if (t < 0 && json_string(item, "table"))
            continue;
        if (t < 0 || m->tables & (1U << t) || json_u64(item, "count", &sum.count) < 0 || sum.count > INT64_MAX ||
            read_checksum(json_string(item, "checksum"), sum.checksum) < 0)
            return error_set_at(err, EBADMSG, "sync.bad-message", NULL, 0, "tables",
                                "each of \"tables\" must have a table, once, with its count and checksum");
        m->tables |= 1U << t;
        m->sums[t] = sum;
    }
    return 0;
}

static int read_begin(const cJSON *o, SyncMessage *m, Error *err)
{
    int r = read_snapshot(o, m->snapshot, err);

    if (r >= 0)
        r = read_uuid(o, "community", m->community, err);
    if (r >= 0)
        r = read_uuid(o, "epoch", m->epoch, err);
    if (r >= 0)
        r = read_number(o, "version", &m->version, err);
    return r < 0 ? r : read_sums(o, m, err);
}

static int read_rows(const cJSON *o, SyncMessage *m, Error *err)
{
    int t = sync_table_find(json_string(o, "table"));
    int r = read_snapshot(o, m->snapshot, err);

    m->tables = t < 0 ? 0 : 1U << t;
    return r < 0 ? r : read_number(o, "index", &m->index, err);
}

static int read_end(const cJSON *o, SyncMessage *m, Error *err)
{
    int r = read_snapshot(o, m->snapshot, err);

    return r < 0 ? r : read_number(o, "chunks", &m->chunks, err);
}

static int read_delta(const cJSON *o, SyncMessage *m, Error *err)
{
    int r = read_uuid(o, "community", m->community, err);

    if (r >= 0)
        r = read_uuid(o, "epoch", m->epoch, err);
    if (r >= 0)
        r = read_number(o, "from", &m->from, err);
    if (r >= 0)
        r = read_number(o, "to", &m->to, err);
    if (r >= 0 && m->to <= m->from)
        r = error_set_at(err, EBADMSG, "sync.bad-message", NULL, 0, "to", "\"to\" must be greater than \"from\"");
    return r;
}

static int read_check(const cJSON *o, SyncMessage *m, Error *err)
{
    int r = read_uuid(o, "epoch", m->epoch, err);

    if (r >= 0)
        r = read_number(o, "version", &m->version, err);
    return r < 0 ? r : read_sums(o, m, err);
}

static int read_none(const cJSON *o, SyncMessage *m, Error *err)
{
    (void) o;
    (void) m;
    (void) err;
    return 0;
}

int sync_message_read(const cJSON *message, SyncMessage *ret, Error *err)
{
    static const struct {
        const char *type;
        SyncKind kind;
        int (*read)(const cJSON *o, SyncMessage *m, Error *err);
    } kinds[] = {
        { "sync.none", SYNC_NONE, read_none },       { "snapshot.begin", SYNC_BEGIN, read_begin },
        { "snapshot.rows", SYNC_ROWS, read_rows },   { "snapshot.end", SYNC_END, read_end },
        { "delta.changes", SYNC_DELTA, read_delta }, { "sync.check", SYNC_CHECK, read_check },
    };
    const char *type = json_string(message, "type");

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        SyncMessage m = { .kind = kinds[i].kind };

        if (!str_equal(kinds[i].type, type))
            continue;
        int r = kinds[i].read(message, &m, err);
        if (r < 0)
            return error_prefix(err, r, "the message %s cannot be read", type);
        *ret = m;
        return 0;
    }
    return -ENOMSG;
}

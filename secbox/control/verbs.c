/* SPDX-License-Identifier: MIT */
#include "secbox/control/verbs.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/queue/queue-sql.h"
#include "secbox/replica/replica-sql.h"

static ControlParts *parts_of(const Question *q)
{
    return question_userdata(q);
}

/* Adds a number that the database gave as text; nothing where it is null. */
static int add_number(cJSON *o, const char *key, const StoreRows *rows, size_t row, unsigned column)
{
    uint64_t n = 0;

    if (store_rows_u64(rows, row, column, INT32_MAX, &n) < 0)
        return 0;
    return json_add_int(o, key, (int) n);
}

static cJSON *status_report(const Replica *r)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    DatabaseState database = replica_database(r);
    const SyncCursor *at = replica_cursor(r);

    if (!o || json_add_string(o, "database", database_state_name(database)) < 0 ||
        json_add_string(o, "databaseHelp", database_state_help(database)) < 0 ||
        json_add_string(o, "sync", sync_state_name((int) replica_state(r))) < 0)
        return NULL;
    if (at->known && (json_add_string(o, "community", at->community) < 0 ||
                      json_add_string(o, "epoch", at->epoch) < 0 || json_add_u64(o, "version", at->version) < 0))
        return NULL;
    return TAKE_PTR(o);
}

static void on_status(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Question *q = userdata;
    _cleanup_(cJSON_Deletep) cJSON *o = status_report(parts_of(q)->replica);

    (void) query;
    (void) err;
    if (r >= 0 && o && store_rows_get(rows, 0, 0) &&
        (json_add_string(o, "appliedAt", store_rows_get(rows, 0, 3)) < 0 ||
         json_add_string(o, "checkedAt", store_rows_get(rows, 0, 4)) < 0 || add_number(o, "bans", rows, 0, 5) < 0 ||
         add_number(o, "unconfirmedBans", rows, 0, 6) < 0 || add_number(o, "ageSeconds", rows, 0, 7) < 0))
        o = (cJSON_Delete(o), NULL);
    question_answer(q, TAKE_PTR(o));
}

static void replica_status(Question *q, const cJSON *message)
{
    Replica *r = parts_of(q)->replica;

    (void) message;
    if (replica_query(r, sql_replica_cursor(), on_status, q, question_query(q), NULL) < 0)
        question_answer(q, status_report(r)); /* without what only the database knows */
}

/* How a table stands to what the gateway said last of this version. */
static const char *compare(const Replica *r, const StoreRows *rows, size_t i)
{
    int t = sync_table_find(store_rows_get(rows, i, 0));
    const SyncSum *sum = t < 0 ? NULL : replica_expected(r, (SyncTable) t);
    uint64_t count = 0;

    if (!sum || store_rows_u64(rows, i, 1, INT64_MAX, &count) < 0)
        return "unknown";
    return count == sum->count && str_equal(sum->checksum, store_rows_get(rows, i, 2)) ? "same" : "differs";
}

static void on_verified(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Question *q = userdata;
    Replica *replica = parts_of(q)->replica;
    _cleanup_(cJSON_Deletep) cJSON *o = r < 0 ? NULL : status_report(replica);
    cJSON *tables = o ? cJSON_AddArrayToObject(o, "tables") : NULL;

    (void) query;
    if (r < 0) {
        question_refuse(q, r, err);
        return;
    }
    for (size_t i = 0; tables && i < store_rows_count(rows); i++) {
        cJSON *t = cJSON_CreateObject();
        if (!t || json_add_string(t, "table", store_rows_get(rows, i, 0)) < 0 ||
            add_number(t, "rows", rows, i, 1) < 0 || json_add_string(t, "checksum", store_rows_get(rows, i, 2)) < 0 ||
            json_add_string(t, "gateway", compare(replica, rows, i)) < 0) {
            cJSON_Delete(t);
            tables = NULL;
        } else if (json_append(tables, t) < 0) {
            tables = NULL;
        }
    }
    question_answer(q, tables ? TAKE_PTR(o) : NULL);
}

/* Asks the database; on_done answers. */
static void ask_replica(Question *q, Statement st, store_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    int r = replica_query(parts_of(q)->replica, st, on_done, q, question_query(q), &err);

    if (r < 0)
        question_refuse(q, r, &err);
}

static void ask_queue(Question *q, Statement st, store_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    int r = queue_query(parts_of(q)->queue, st, on_done, q, question_query(q), &err);

    if (r < 0)
        question_refuse(q, r, &err);
}

static void replica_verify(Question *q, const cJSON *message)
{
    (void) message;
    ask_replica(q, sql_replica_sums(), on_verified);
}

static int read_tables(const cJSON *message, unsigned *ret, Error *err)
{
    const cJSON *item;

    *ret = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(message, "tables")) {
        int t = sync_table_find(cJSON_GetStringValue(item));
        if (t < 0)
            return error_set(err, EINVAL, "sync.bad-table",
                             "there is no such table: communities, units, users, guests, bans");
        *ret |= 1U << t;
    }
    return 0;
}

static void answer_count(Question *q, const char *key, int n)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (o && json_add_int(o, key, n) < 0)
        o = (cJSON_Delete(o), NULL);
    question_answer(q, TAKE_PTR(o));
}

static void replica_ask_again(Question *q, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    unsigned tables = 0;
    int r = read_tables(message, &tables, &err);

    if (r >= 0)
        r = replica_resync(parts_of(q)->replica, tables, &err);
    if (r < 0)
        question_refuse(q, r, &err);
    else
        answer_count(q, "asked", 1);
}

static void on_unconfirmed(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    static const char *const members[] = { "id", "name", "plate", "document", "reason", "since" };
    Question *q = userdata;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    cJSON *bans = o ? cJSON_AddArrayToObject(o, "bans") : NULL;

    (void) query;
    if (r < 0) {
        question_refuse(q, r, err);
        return;
    }
    for (size_t i = 0; bans && i < store_rows_count(rows); i++) {
        cJSON *ban = cJSON_CreateObject();
        for (unsigned m = 0; ban && m < ELEMENTSOF(members); m++)
            if (json_add_string(ban, members[m], store_rows_get(rows, i, m)) < 0)
                ban = (cJSON_Delete(ban), NULL);
        if (!ban || json_append(bans, ban) < 0)
            bans = NULL;
    }
    question_answer(q, bans ? TAKE_PTR(o) : NULL);
}

static void replica_unconfirmed(Question *q, const cJSON *message)
{
    (void) message;
    ask_replica(q, sql_replica_unconfirmed(), on_unconfirmed);
}

/* A write cannot be taken back: when whoever asked goes away, the answer has nobody to go to. */
typedef struct Written {
    Question *q;
    char id[UUID_SIZE];
} Written;

/* The end of a question that started a write with w; r < 0: it did not start. */
static void keep_written(Question *q, Written *w, int r, const Error *err)
{
    if (r < 0) {
        free(w);
        question_refuse(q, r, err);
        return;
    }
    w->q = q;
    question_keep_link(q, &w->q);
}

static void on_released(int r, bool released, const Error *err, void *userdata)
{
    Written *w = userdata;

    if (w->q && r < 0)
        question_refuse(w->q, r, err);
    else if (w->q)
        answer_count(w->q, "released", released);
    free(w);
}

static void replica_release_ban(Question *q, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    const char *ban = json_string(message, "ban");
    Written *w;
    int r;

    if (!uuid_is_valid(ban)) {
        question_refuse(q, error_set(&err, EINVAL, "sync.bad-ban", "a ban is named by its id, a UUID"), &err);
        return;
    }
    w = calloc(1, sizeof(*w));
    r = w ? replica_release(parts_of(q)->replica, ban, on_released, w, &err) : -ENOMEM;
    keep_written(q, w, r, &err);
}

/* Answers with the JSON of the only column. */
static void on_json(Question *q, int r, const StoreRows *rows, const Error *err, const char *member)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    const char *text = r < 0 ? NULL : store_rows_get(rows, 0, 0);
    cJSON *value = NULL;

    if (r < 0) {
        question_refuse(q, r, err);
        return;
    }
    if (text && json_parse(text, strlen(text), &value, NULL) >= 0 && member) {
        o = cJSON_CreateObject();
        if (!o || json_add_item(o, member, value) < 0)
            o = (cJSON_Delete(o), NULL);
    } else {
        o = value;
    }
    question_answer(q, TAKE_PTR(o));
}

static void on_queue_status(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    (void) query;
    on_json(userdata, r, rows, err, NULL);
}

static void on_queue_dead(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    (void) query;
    on_json(userdata, r, rows, err, "dead");
}

static void queue_status(Question *q, const cJSON *message)
{
    const SyncCursor *at = replica_cursor(parts_of(q)->replica);

    (void) message;
    ask_queue(q, sql_queue_status(at->known ? at->community : NULL), on_queue_status);
}

static void queue_dead(Question *q, const cJSON *message)
{
    (void) message;
    ask_queue(q, sql_queue_dead(), on_queue_dead);
}

static void on_retried(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Question *q = userdata;
    uint64_t n = 0;

    (void) query;
    if (r < 0) {
        question_refuse(q, r, err);
        return;
    }
    (void) !store_rows_u64(rows, 0, 0, INT32_MAX, &n);
    queue_wake(parts_of(q)->queue);
    answer_count(q, "retried", (int) n);
}

static void queue_retry(Question *q, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    const char *id = json_string(message, "clientId");

    if (id && !uuid_is_valid(id))
        question_refuse(q, error_set(&err, EINVAL, "queue.bad-event", "an event is named by its clientId, a UUID"),
                        &err);
    else
        ask_queue(q, sql_queue_retry(id), on_retried);
}

static void on_put(int r, const Error *err, void *userdata)
{
    Written *w = userdata;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (w->q && r < 0)
        question_refuse(w->q, r, err);
    else if (w->q)
        question_answer(w->q, o && json_add_string(o, "clientId", w->id) >= 0 ? TAKE_PTR(o) : NULL);
    free(w);
}

static void queue_put(Question *q, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    const QueueEvent e = {
        .kind = json_string(message, "kind"),
        .client_id = json_string(message, "clientId"),
        .data = cJSON_GetObjectItemCaseSensitive(message, "data"),
    };
    Written *w = calloc(1, sizeof(*w));
    int r = w ? queue_write(parts_of(q)->queue, &e, on_put, w, w->id, &err) : -ENOMEM;

    keep_written(q, w, r, &err);
}

static void answer_health(Question *q, const DataHealth *health)
{
    const cJSON *values = data_health_values(health);

    question_answer(q, values ? cJSON_Duplicate(values, true) : cJSON_CreateObject());
}

static void answer_device(Question *q, const bool *tunnel_up)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    question_answer(q, o && json_add_string(o, "tunnel", *tunnel_up ? "up" : "down") >= 0 ? TAKE_PTR(o) : NULL);
}

static const struct {
    const char *verb;
    void (*run)(Question *q, const cJSON *message);
} verbs[] = {
    { "replica.status", replica_status },
    { "replica.verify", replica_verify },
    { "replica.resync", replica_ask_again },
    { "replica.unconfirmed", replica_unconfirmed },
    { "replica.release", replica_release_ban },
    { "queue.status", queue_status },
    { "queue.dead", queue_dead },
    { "queue.retry", queue_retry },
    { "queue.put", queue_put },
};

void control_answer_verb(Question *q, const cJSON *message, void *userdata)
{
    const ControlParts *parts = userdata;
    _cleanup_(error_done) Error err = {};
    const char *verb = json_string(message, "verb");

    if (str_equal(verb, "health")) {
        answer_health(q, parts->health);
        return;
    }
    if (str_equal(verb, "device")) {
        answer_device(q, parts->tunnel_up);
        return;
    }
    if (!parts->replica) {
        question_refuse(
            q, error_set(&err, ENODATA, "sync.no-database", "the database is %s", database_state_help(DATABASE_NONE)),
            &err);
        return;
    }
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if (str_equal(verbs[i].verb, verb)) {
            verbs[i].run(q, message);
            return;
        }
    question_refuse(q, error_set(&err, ENOSYS, "control.bad-verb", "this secbox does not know that verb"), &err);
}

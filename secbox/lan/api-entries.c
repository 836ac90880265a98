/* SPDX-License-Identifier: MIT */
/* GET and POST /api/lan/entries, /api/lan/notes: what happens at the gate. Each is one event of the queue, and once on disk it is
 * answered; the same clientId again changes nothing, so a tablet that had no answer sends it again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/uuid.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/data/pass.h"
#include "secbox/lan/entry-picture.h"
#include "secbox/lan/lan-impl.h"
#include "secbox/replica/gate-sql.h"

#define PAGE_MAX 500
#define PAGE_DEFAULT 100
#define OFFSET_MAX 1000000
#define TEXT_MAX 500
#define COMPANIONS_MAX 99
#define PHOTOS_OF_ENTRY_MAX 4
/* An entry that is this much older, or newer, has its moment behind it. */
#define OF_NOW (5 * USEC_PER_SEC)

/* Events of one request that are being written. */
typedef struct Writing Writing;
struct Writing {
    unsigned waiting;
    int failed;
    Error err;
    char id[UUID_SIZE];
    LanRequest *q; /* NULL: the tablet is gone */
    Lan *lan;
    Writing *next;
};

static void writing_gone(void *writing)
{
    ((Writing *) writing)->q = NULL;
}

static void writing_free(Writing *w)
{
    Writing **at = &w->lan->writings;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    error_done(&w->err);
    free(w);
}

void lan_writings_free(Lan *lan)
{
    while (lan->writings)
        writing_free(lan->writings);
}

static void writing_end(Writing *w)
{
    LanRequest *q = w->q;
    cJSON *body = NULL;

    if (q) {
        q->scratch_free = NULL;
        if (w->failed < 0)
            /* what can never be written must not hold up what the tablet has behind it */
            lan_fail(q, w->failed == -EINVAL || w->failed == -EMSGSIZE ? 400 : 503, w->failed, &w->err);
        else if (json_add_string((body = cJSON_CreateObject()), "id", w->id) >= 0)
            lan_answer(q, 201, body);
        else
            lan_answer(q, 500, body);
    }
    if (w->failed >= 0) {
        w->lan->written++;
        lan_events_tell(w->lan->events, "entries");
    }
    writing_free(w);
}

static void on_written(int r, const Error *err, void *userdata)
{
    Writing *w = userdata;

    if (r < 0 && w->failed >= 0) {
        w->failed = r;
        (void) error_copy(&w->err, err);
    }
    if (--w->waiting == 0)
        writing_end(w);
}

/* Writes one event or two. `data` are borrowed. q is answered; NULL: the tablet is gone. */
static void write_events(Lan *lan, LanRequest *q, const QueueEvent *events, size_t n)
{
    Writing *w = calloc(1, sizeof(*w));

    if (!w && q)
        lan_answer(q, 500, NULL);
    if (!w)
        return;
    *w = (Writing) { .q = q, .lan = lan, .waiting = 1, .next = lan->writings };
    lan->writings = w;
    if (q) {
        q->scratch = w;
        q->scratch_free = writing_gone;
    }
    for (size_t i = 0; i < n && w->failed >= 0; i++) {
        char id[UUID_SIZE];
        int r = queue_write(lan->queue, &events[i], on_written, w, id, &w->err);
        if (r < 0)
            w->failed = r;
        else
            w->waiting++;
        if (i == 0 && r >= 0)
            memcpy(w->id, id, sizeof(w->id));
    }
    if (--w->waiting == 0)
        writing_end(w);
}

static bool can_write(LanRequest *q)
{
    if (q->lan->queue && gate_data_has_database(q->lan->data))
        return true;
    lan_refuse(q, 503, "lan.no-database", "the box's database is away; the tablet keeps the entry and sends it later");
    return false;
}

/* A text member of the body, or NULL; false when it is there and cannot be used (answered). */
static bool take_text(LanRequest *q, cJSON *data, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(q->body, name);

    if (!item || cJSON_IsNull(item))
        return true;
    if (cJSON_IsString(item) && strlen(item->valuestring) <= TEXT_MAX &&
        json_add_string(data, name, item->valuestring) >= 0)
        return true;
    lan_refuse(q, 400, "lan.bad-request", "%s must be a text of at most %d bytes", name, TEXT_MAX);
    return false;
}

static bool take_ids(LanRequest *q, cJSON *data, const char *name)
{
    const char *id = json_string(q->body, name);

    if (!id)
        return true;
    if (uuid_is_valid(id) && json_add_string(data, name, id) >= 0)
        return true;
    lan_refuse(q, 400, "lan.bad-request", "%s must be an id", name);
    return false;
}

/* What the tablet says of itself: its id of the event and when it happened, which may be hours ago. */
static bool take_event(LanRequest *q, QueueEvent *e)
{
    const char *at = json_string(q->body, "at"), *id = json_string(q->body, "clientId");
    usec_t when = 0;

    if ((id && (!uuid_is_valid(id) || id[UUID_VERSION_AT] != '7')) || (at && timestamp_parse(at, &when) < 0)) {
        lan_refuse(q, 400, "lan.bad-request",
                   "clientId must be a UUID of version 7, and at a time like 2026-01-02T03:04:05.000Z");
        return false;
    }
    e->client_id = id;
    e->at = when;
    return true;
}

/* The pass by which a guest came in, by its id. */
static bool take_pass(LanRequest *q, cJSON *data)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(q->body, "pass");

    if (!item || cJSON_IsNull(item))
        return true;
    if (jwt_id_is_valid(cJSON_GetStringValue(item)) && json_string(data, "guest") &&
        json_add_string(data, "pass", item->valuestring) >= 0)
        return true;
    lan_refuse(q, 400, "lan.bad-request", "pass must be the id of a pass, and goes with a guest");
    return false;
}

static bool take_companions(LanRequest *q, cJSON *data)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(q->body, "companions");

    if (!item || cJSON_IsNull(item))
        return true;
    if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= COMPANIONS_MAX &&
        json_add_int(data, "companions", (int) item->valuedouble) >= 0)
        return true;
    lan_refuse(q, 400, "lan.bad-request", "companions must be a number from 0 to %d", COMPANIONS_MAX);
    return false;
}

/* Digests of photos, which come by themselves, sooner or later. */
static bool take_photos(LanRequest *q, cJSON *data)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(q->body, "photos"), *item;
    bool ok = cJSON_IsArray(list) && cJSON_GetArraySize(list) >= 1 && cJSON_GetArraySize(list) <= PHOTOS_OF_ENTRY_MAX;

    if (!list || cJSON_IsNull(list))
        return true;
    cJSON_ArrayForEach(item, list)
        ok = ok && photo_digest_is_valid(cJSON_GetStringValue(item));
    if (ok && json_add_item(data, "photos", cJSON_Duplicate(list, true)) >= 0)
        return true;
    lan_refuse(q, 400, "lan.bad-request", "photos are 1 to %d digests of 64 hexadecimal digits", PHOTOS_OF_ENTRY_MAX);
    return false;
}

/* The id of the use that belongs to an entry: the same entry sent twice is one use. */
static int use_id(const char *entry, char ret[static UUID_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    int r = sha256(entry, strlen(entry), hash);

    if (r >= 0)
        uuid7_format(0, hash, ret);
    return r;
}

/* Who is logged in, and who registered it, where that was another one while the box was away: so the tablet says. */
static bool add_guard(LanRequest *q, cJSON *data)
{
    const char *by = json_string(q->body, "by");
    const Guard *other = by && !str_equal(by, q->guard) ? gate_data_guard(q->lan->data, by) : NULL;

    if (!take_ids(q, data, "by"))
        return false;
    if (str_equal(by, q->guard))
        cJSON_DeleteItemFromObjectCaseSensitive(data, "by");
    if (json_add_string(data, "byName", other ? other->name : NULL) >= 0 &&
        json_add_string(data, "guard", q->guard) >= 0 && json_add_string(data, "guardName", q->guard_name) >= 0)
        return true;
    lan_answer(q, 500, NULL);
    return false;
}

/* Somebody who comes in, until it is written. */
typedef struct Entry {
    Lan *lan;
    LanRequest *q; /* NULL: the tablet is gone */
    cJSON *data;
    char id[UUID_SIZE], use[UUID_SIZE];
    usec_t at;
    bool is_guest;
    EntryPicture *picture; /* it waits for this one */
} Entry;

static void entry_free(Entry *e)
{
    entry_picture_free(e->picture);
    cJSON_Delete(e->data);
    free(e);
}

static void entry_write(Entry *e)
{
    const QueueEvent events[2] = {
        { .kind = "visit.entry", .data = e->data, .client_id = e->id, .at = e->at },
        { .kind = "guest.used", .data = e->data, .client_id = e->use, .at = e->at },
    };

    if (e->q)
        e->q->scratch_free = NULL;
    write_events(e->lan, e->q, events, e->is_guest ? 2 : 1);
    entry_free(e);
}

/* It has happened, whoever waits for the answer. */
static void entry_gone(void *entry)
{
    Entry *e = entry;

    e->q = NULL;
    entry_write(e);
}

static int add_picture(Entry *e, const char *digest)
{
    const char *camera = e->lan->entry_camera;
    cJSON *photos = cJSON_GetObjectItemCaseSensitive(e->data, "photos");
    cJSON *gate = cJSON_AddObjectToObject(e->data, "cameraPhoto");

    if (!photos)
        photos = cJSON_AddArrayToObject(e->data, "photos");
    if (!gate || !photos || json_add_string(gate, "camera", camera) < 0 || json_add_string(gate, "sha256", digest) < 0)
        return -ENOMEM;
    return json_append(photos, cJSON_CreateString(digest));
}

static void on_picture(const char *digest, void *userdata)
{
    Entry *e = userdata;
    const Lan *lan = e->lan;

    e->picture = NULL;
    if (digest && add_picture(e, digest) < 0)
        log_warning("an entry does not name the picture of the camera at the gate: no memory");
    entry_write(e);
    if (digest)
        lan->on_photo(lan->userdata);
}

/* Whether it happens now, so that a picture of now is one of it. How long ago it was is told by the tablet's own clock, which
 * may be wrong by as much as it likes; an entry that is sent again, or later, gets no picture of somebody else. */
static bool is_of_now(const LanRequest *q, usec_t at)
{
    const char *text = json_string(q->body, "sent");
    usec_t sent = realtime_usec();

    if (text && timestamp_parse(text, &sent) < 0)
        return false;
    return at == 0 || (at <= sent + OF_NOW && sent <= at + OF_NOW);
}

static bool begin_picture(Entry *e)
{
    const Lan *lan = e->lan;
    const EntryPictureParts parts = { .event = lan->event,
                                      .cameras = lan->cameras,
                                      .photos = lan->photos,
                                      .camera = lan->entry_camera,
                                      .community = gate_data_community(lan->data)->id };
    _cleanup_(error_done) Error err = {};

    if (!lan->entry_camera || !parts.community || !is_of_now(e->q, e->at) ||
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(e->data, "photos")) >= PHOTOS_OF_ENTRY_MAX)
        return false;
    int r = entry_picture_take(&parts, on_picture, e, &e->picture, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "an entry is written without a picture of the camera at the gate");
    return r >= 0;
}

static Entry *entry_new(LanRequest *q, cJSON *data, const QueueEvent *event)
{
    Entry *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    *e = (Entry) { .lan = q->lan, .q = q, .at = event->at, .is_guest = json_string(data, "guest") };
    if (event->client_id)
        memcpy(e->id, event->client_id, sizeof(e->id));
    else
        uuid7_make(e->id);
    e->data = use_id(e->id, e->use) < 0 ? NULL : cJSON_Duplicate(data, true);
    if (e->data)
        return e;
    entry_free(e);
    return NULL;
}

static void enter(LanRequest *q, cJSON *data)
{
    static const char *const texts[] = { "name", "plate", "document", "note", "verdict" };
    QueueEvent event = {};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (!take_text(q, data, texts[i]))
            return;
    if (!take_companions(q, data) || !take_ids(q, data, "unit") || !take_ids(q, data, "guest") || !take_pass(q, data) ||
        !take_photos(q, data) || !take_event(q, &event))
        return;
    if (!json_string(data, "name") && !json_string(data, "plate") && !json_string(data, "document")) {
        lan_refuse(q, 400, "lan.bad-request", "an entry needs a name, a plate or a document");
        return;
    }
    Entry *e = entry_new(q, data, &event);
    if (!e) {
        lan_answer(q, 500, NULL);
        return;
    }
    q->scratch = e;
    q->scratch_free = entry_gone;
    if (!begin_picture(e))
        entry_write(e);
}

static void leave(LanRequest *q, cJSON *data)
{
    QueueEvent event = { .kind = "visit.exit", .data = data };

    if (!json_string(q->body, "visit"))
        lan_refuse(q, 400, "lan.bad-request", "visit must be the id of an entry");
    else if (take_ids(q, data, "visit") && take_text(q, data, "note") && take_photos(q, data) && take_event(q, &event))
        write_events(q->lan, q, &event, 1);
}

static void entries_post(LanRequest *q)
{
    _cleanup_(cJSON_Deletep) cJSON *data = cJSON_CreateObject();
    const char *kind = json_string(q->body, "kind");

    if (!can_write(q) || !add_guard(q, data))
        return;
    if (str_equal(kind, "enter"))
        enter(q, data);
    else if (str_equal(kind, "leave"))
        leave(q, data);
    else
        lan_refuse(q, 400, "lan.bad-request", "kind is enter or leave");
}

static void notes_post(LanRequest *q)
{
    _cleanup_(cJSON_Deletep) cJSON *data = cJSON_CreateObject();
    QueueEvent event = { .kind = "shift.note", .data = data };

    if (!can_write(q) || !add_guard(q, data))
        return;
    if (str_empty(json_string(q->body, "text")))
        lan_refuse(q, 400, "lan.bad-request", "a note needs a text");
    else if (take_text(q, data, "text") && take_event(q, &event))
        write_events(q->lan, q, &event, 1);
}

static int add_parsed(cJSON *item, const char *name, const char *data)
{
    cJSON *row = NULL;

    if (!data)
        return 0;
    int r = json_parse_object(data, strlen(data), &row, NULL);
    return r < 0 ? r : json_add_item(item, name, row);
}

static cJSON *visit_of(const StoreRows *rows, size_t i)
{
    cJSON *item = cJSON_CreateObject();

    if (json_add_string(item, "id", store_rows_get(rows, i, 0)) >= 0 &&
        json_add_string(item, "entered", store_rows_get(rows, i, 1)) >= 0 &&
        json_add_string(item, "left", store_rows_get(rows, i, 2)) >= 0 &&
        add_parsed(item, "entry", store_rows_get(rows, i, 3)) >= 0 &&
        add_parsed(item, "exit", store_rows_get(rows, i, 4)) >= 0)
        return item;
    cJSON_Delete(item);
    return NULL;
}

static cJSON *note_of(const StoreRows *rows, size_t i)
{
    cJSON *item = cJSON_CreateObject();

    if (json_add_string(item, "id", store_rows_get(rows, i, 0)) >= 0 &&
        json_add_string(item, "at", store_rows_get(rows, i, 1)) >= 0 &&
        add_parsed(item, "note", store_rows_get(rows, i, 2)) >= 0)
        return item;
    cJSON_Delete(item);
    return NULL;
}

static void answer_list(LanRequest *q, const StoreRows *rows, const char *name,
                        cJSON *(*make)(const StoreRows *, size_t))
{
    cJSON *body = cJSON_CreateObject(), *list = body ? cJSON_AddArrayToObject(body, name) : NULL;

    for (size_t i = 0; list && i < store_rows_count(rows); i++)
        if (json_append(list, make(rows, i)) < 0)
            list = NULL;
    if (!list) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer(q, 200, body);
}

static void on_visits(LanRequest *q, const StoreRows *rows)
{
    answer_list(q, rows, "visits", visit_of);
}

static void on_notes(LanRequest *q, const StoreRows *rows)
{
    answer_list(q, rows, "notes", note_of);
}

static void entries_get(LanRequest *q)
{
    uint64_t inside, limit, offset;

    if (lan_query_number(q, "inside", 1, 0, &inside) && lan_query_number(q, "limit", PAGE_MAX, PAGE_DEFAULT, &limit) &&
        lan_query_number(q, "offset", OFFSET_MAX, 0, &offset))
        lan_query(q, sql_gate_visits(inside, (int64_t) limit, (int64_t) offset), on_visits);
}

static void notes_get(LanRequest *q)
{
    uint64_t limit;

    if (lan_query_number(q, "limit", PAGE_MAX, PAGE_DEFAULT, &limit))
        lan_query(q, sql_gate_notes((int64_t) limit), on_notes);
}

const LanRoute lan_entry_routes[] = {
    { "GET", "/api/lan/entries", LAN_GUARDS, entries_get },
    { "POST", "/api/lan/entries", LAN_GUARDS, entries_post },
    { "GET", "/api/lan/notes", LAN_GUARDS, notes_get },
    { "POST", "/api/lan/notes", LAN_GUARDS, notes_post },
    {},
};

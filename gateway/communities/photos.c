/* SPDX-License-Identifier: MIT */
/* A photo is in memory until all of it is there, so that a file is always a whole photo; how many may be on their way at once is
 * bounded. What has come survives a lost tunnel, not the gateway's end: the box is told where to go on. */
#include "gateway/communities/photos.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "gateway/communities/api-communities.h"
#include "gateway/store/photos-table.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/base/uuid.h"
#include "lib/data/json.h"
#include "lib/event/saver.h"
#include "lib/tunnel/message.h"

#define SELF "/proc/self/exe"
/* before all others */
#define UUID_NONE "00000000-0000-0000-0000-000000000000"
#define PART_MAX ((size_t) 32 * 1024)
#define BYTES_UNDER_WAY_MAX ((size_t) 64 * 1024 * 1024)
#define FORGOTTEN_AFTER (10 * USEC_PER_MINUTE)
#define TIDY_INTERVAL (10 * USEC_PER_MINUTE)
#define MISSED_INTERVAL (10 * USEC_PER_MINUTE)

struct Photos {
    sd_event *event;
    Store *store;
    DeviceConns *conns;
    Saver *saver;
    char *folder;
    unsigned days;
    Map *incoming; /* device → Incoming, owned */
    size_t bytes;  /* of all of them */
    usec_t tidied;
    usec_t missed;     /* when it was said last that a folder is away; 0: never */
    StoreQuery *query; /* for what is old */
    /* the last that this was done with: one that cannot be removed does not keep the others */
    char old_community[UUID_SIZE], old_sha256[SHA256_HEX_SIZE];
};

typedef enum IncomingState {
    PHOTO_ASKED, /* the database is asked whether it is wanted */
    PHOTO_COMES,
    PHOTO_WAITS, /* all of it is here; the disk has other things to do */
    PHOTO_SAVED, /* it is being written */
    PHOTO_NOTED, /* the database is told of it */
} IncomingState;

/* The one photo of a box that is under way. */
typedef struct Incoming {
    Photos *owner;
    IncomingState state;
    char *device;
    char community[UUID_SIZE], sha256[SHA256_HEX_SIZE];
    char *data;
    size_t size, have;
    bool may_make_folder; /* it is the community's first */
    usec_t heard;
    StoreQuery *query;
} Incoming;

static void incoming_free(void *incoming)
{
    Incoming *i = incoming;

    i->owner->bytes -= i->size;
    i->query = store_query_free(i->query);
    free(i->data);
    free(i->device);
    free(i);
}

bool photo_name_is_valid(const char *sha256)
{
    return sha256 && strlen(sha256) == SHA256_HEX_SIZE - 1 && strspn(sha256, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

static char *photo_path(const Photos *p, const char *community, const char *sha256)
{
    return str_format("%s/%s/%s.jpg", p->folder, community, sha256);
}

/* A folder that is away, as that of a disk which is not mounted, says nothing about the photos in it. */
static bool has_folder(const Photos *p, const char *community)
{
    _cleanup_(freep) char *folder = str_format("%s/%s", p->folder, community);

    return folder && access(folder, F_OK) == 0;
}

/* `id` NULL: it is not refused. */
static void tell(const Photos *p, const char *device, const char *sha256, const char *state, size_t have,
                 const char *id, const char *message)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("photo.state");
    _cleanup_(error_done) Error why = {};
    DeviceConn *s = device_conn_find(p->conns, device, ROLE_DEVICE);
    int r = s ? json_add_string(m, "sha256", sha256) : -ENOTCONN;

    if (r >= 0)
        r = json_add_string(m, "state", state);
    if (r >= 0 && str_equal(state, "wanted"))
        r = json_add_u64(m, "have", have);
    if (r >= 0 && id)
        r = json_add_item(m, "error", json_from_error(&why, error_set(&why, EBADMSG, id, "%s", message)));
    if (r >= 0)
        r = device_conn_send(s, m);
    if (r < 0)
        log_debug("%s does not hear of its photo: it will offer it again", device);
}

static void refuse(const Photos *p, const char *device, const char *sha256, const char *id, const char *message)
{
    tell(p, device, sha256, "refused", 0, id, message);
}

static void refuse_unavailable(const Photos *p, const char *device, const char *sha256)
{
    refuse(p, device, sha256, "photo.unavailable", "the gateway cannot store it now, offer it again later");
}

static void drop(Incoming *i)
{
    map_remove(i->owner->incoming, i->device);
}

static void on_stored(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err, void *userdata)
{
    Incoming *i = userdata;

    i->query = NULL;
    if (r >= 0) {
        tell(i->owner, i->device, i->sha256, "stored", 0, NULL, NULL);
    } else {
        log_failure(LOG_LEVEL_NOTICE, NULL, err, r, "a photo of %s is not noted, it will come again", i->device);
        refuse_unavailable(i->owner, i->device, i->sha256);
    }
    drop(i);
}

static void save_what_waits(Photos *p);

static void on_saved(bool written, void *userdata)
{
    Incoming *i = userdata;
    Photos *p = i->owner;

    i->state = PHOTO_NOTED;
    if (!written ||
        store_query(p->store, sql_photo_stored(i->community, i->sha256, i->size), on_stored, i, &i->query, NULL) < 0) {
        log_warning("a photo of %s could not be stored in %s, it will come again", i->device, p->folder);
        refuse_unavailable(p, i->device, i->sha256);
        drop(i);
    }
    save_what_waits(p);
}

static int begin_saving(Incoming *i)
{
    Photos *p = i->owner;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = photo_path(p, i->community, i->sha256);
    _cleanup_(freep) char *folder = str_format("%s/%s", p->folder, i->community);

    if (!path || !folder)
        return -ENOMEM;
    int r = !i->may_make_folder && !has_folder(p, i->community)
                ? error_set(&err, ENOENT, "photo.no-folder", "%s is not there any more", folder)
                : dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "photos cannot be kept");
    return r < 0 ? r : saver_write_data(p->saver, path, i->data, i->size, on_saved, i);
}

/* Only so many writes wait at a time; the others wait here. Negative when it is refused, and gone. */
static int save(Incoming *i)
{
    int r = begin_saving(i);

    i->state = r == -ENOBUFS ? PHOTO_WAITS : PHOTO_SAVED;
    if (r >= 0 || r == -ENOBUFS)
        return 0;
    refuse_unavailable(i->owner, i->device, i->sha256);
    drop(i);
    return r;
}

/* The next one that can be written takes the place of the one that is done. */
static void save_what_waits(Photos *p)
{
    void *value;

    for (size_t n = 0; map_next(p->incoming, &n, NULL, &value);)
        if (((const Incoming *) value)->state == PHOTO_WAITS && save(value) >= 0)
            return;
}

static bool is_jpeg(const char *data, size_t len)
{
    return len > 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

/* All of it is there. */
static void finish(Incoming *i)
{
    char digest[SHA256_HEX_SIZE];

    if (sha256_hex(i->data, i->size, digest) < 0 || !str_equal(digest, i->sha256))
        refuse(i->owner, i->device, i->sha256, "photo.digest", "what has come has another digest");
    else if (!is_jpeg(i->data, i->size))
        refuse(i->owner, i->device, i->sha256, "photo.malformed", "it is no JPEG");
    else {
        (void) save(i);
        return;
    }
    drop(i);
}

/* Adds the bytes, unless they are not those that come next. */
static void take_part(Incoming *i, const cJSON *message)
{
    const char *text = json_string(message, "data");
    _cleanup_(freep) uint8_t *data = NULL;
    uint64_t offset;
    size_t len = 0;

    if (json_u64(message, "offset", &offset) < 0 || base64_decode(text, strlen(text), &data, &len) < 0 || len == 0 ||
        len > PART_MAX) {
        refuse(i->owner, i->device, i->sha256, "photo.malformed", "a part is at most 32768 bytes in Base64");
        drop(i);
        return;
    }
    i->heard = boottime_usec();
    if (offset == i->have && len <= i->size - i->have) {
        memcpy(i->data + i->have, data, len);
        i->have += len;
    }
    if (i->have == i->size)
        finish(i);
    else
        tell(i->owner, i->device, i->sha256, "wanted", i->have, NULL, NULL);
}

static void on_part(DeviceConn *s, const cJSON *message, void *userdata)
{
    Photos *p = userdata;
    Incoming *i = device_conn_role(s) == ROLE_DEVICE ? map_get(p->incoming, device_conn_device(s)) : NULL;

    /* of no offer, or of one that is answered already: the box offers it again */
    if (i && i->state == PHOTO_COMES && str_equal(i->sha256, json_string(message, "sha256")))
        take_part(i, message);
    else if (!i && device_conn_role(s) == ROLE_DEVICE && photo_name_is_valid(json_string(message, "sha256")))
        refuse_unavailable(p, device_conn_device(s), json_string(message, "sha256"));
}

/* Boxes offer again and again: once in a while is enough. */
static void say_no_folder(const Incoming *i)
{
    Photos *p = i->owner;
    usec_t now = boottime_usec();

    if (p->missed > 0 && now - p->missed < MISSED_INTERVAL)
        return;
    p->missed = now;
    log_warning(
        "photos of the community %s are not taken: %s/%s, where others of it were stored, is not there; mount what "
        "holds it, or make it anew as this gateway's user where they are lost",
        i->community, p->folder, i->community);
}

static void on_offered(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Incoming *i = userdata;
    const Photos *p = i->owner;

    i->query = NULL;
    i->may_make_folder = r >= 0 && !store_rows_true(rows, 0, 3);
    if (r < 0) {
        log_debug("a photo of %s waits for the database: %s", i->device, error_message(err, r));
        refuse_unavailable(p, i->device, i->sha256);
    } else if (!store_rows_true(rows, 0, 0)) {
        refuse(p, i->device, i->sha256, "photo.unknown", "no event of this box in this community names it");
    } else if (store_rows_true(rows, 0, 1)) {
        tell(p, i->device, i->sha256, "stored", 0, NULL, NULL);
    } else if (store_rows_true(rows, 0, 2)) {
        refuse(p, i->device, i->sha256, "photo.expired", "its event is older than photos are kept");
    } else if (store_rows_true(rows, 0, 3) && !has_folder(p, i->community)) {
        /* a new folder would lie below a mount that is missing: its photos would vanish when that is back */
        say_no_folder(i);
        refuse_unavailable(p, i->device, i->sha256);
    } else {
        i->state = PHOTO_COMES;
        tell(p, i->device, i->sha256, "wanted", i->have, NULL, NULL);
        return;
    }
    drop(i);
}

static Incoming *incoming_new(Photos *p, const char *device, size_t size)
{
    Incoming *i = calloc(1, sizeof(*i));

    if (!i)
        return NULL;
    i->owner = p;
    i->device = strdup(device);
    i->data = malloc(size);
    if (i->device && i->data && map_put(p->incoming, device, i) >= 0) {
        i->size = size;
        p->bytes += size;
        return i;
    }
    incoming_free(i);
    return NULL;
}

/* What the box offers, if it may; NULL when it is refused. */
static Incoming *new_offer(Photos *p, const char *device, const cJSON *message)
{
    const char *sha256 = json_string(message, "sha256");
    char community[UUID_SIZE];
    uint64_t bytes = 0;

    if (uuid_parse(json_string(message, "community"), community) < 0 || json_u64(message, "bytes", &bytes) < 0) {
        refuse(p, device, sha256, "photo.malformed", "an offer names a community and a number of bytes");
        return NULL;
    }
    if (bytes == 0 || bytes > PHOTO_BYTES_MAX) {
        refuse(p, device, sha256, "photo.too-large", "a photo is at most 307200 bytes long");
        return NULL;
    }
    map_remove(p->incoming, device);
    Incoming *i = bytes <= BYTES_UNDER_WAY_MAX - p->bytes ? incoming_new(p, device, bytes) : NULL;
    if (!i) {
        refuse_unavailable(p, device, sha256);
        return NULL;
    }
    memcpy(i->community, community, UUID_SIZE);
    memcpy(i->sha256, sha256, SHA256_HEX_SIZE);
    return i;
}

/* The same as before: a box that was away goes on where it was. */
static bool is_same_offer(const Incoming *i, const cJSON *message)
{
    uint64_t bytes;

    return str_equal(i->sha256, json_string(message, "sha256")) &&
           strcasecmp(i->community, json_string(message, "community")) == 0 &&
           json_u64(message, "bytes", &bytes) >= 0 && bytes == i->size;
}

static void on_offer(DeviceConn *s, const cJSON *message, void *userdata)
{
    Photos *p = userdata;
    const char *device = device_conn_device(s), *sha256 = json_string(message, "sha256");

    if (device_conn_role(s) != ROLE_DEVICE || !photo_name_is_valid(sha256))
        return;
    Incoming *i = map_get(p->incoming, device);
    if (i && i->state >= PHOTO_WAITS) {
        if (!is_same_offer(i, message)) /* otherwise its answer is to come */
            refuse_unavailable(p, device, sha256);
        return;
    }
    if (!i || !is_same_offer(i, message))
        i = new_offer(p, device, message);
    if (!i)
        return;
    i->state = PHOTO_ASKED;
    i->heard = boottime_usec();
    i->query = store_query_free(i->query);
    if (store_query(p->store, sql_photo_offered(device, i->community, i->sha256, p->days), on_offered, i, &i->query,
                    NULL) < 0) {
        refuse_unavailable(p, device, i->sha256);
        drop(i);
    }
}

/* The file goes first: what is said to be there is there, but for this moment. */
static void remove_old(Photos *p, const char *community, const char *sha256)
{
    _cleanup_(freep) char *path = photo_path(p, community, sha256);
    _cleanup_(error_done) Error err = {};

    if (!has_folder(p, community))
        return;
    int r = path ? file_remove(path, &err) : -ENOMEM;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "an old photo stays");
    else
        (void) !store_query(p->store, sql_photo_gone(community, sha256), NULL, NULL, NULL, NULL);
}

/* Where the next round begins. */
static void set_old(Photos *p, const char *community, const char *sha256)
{
    snprintf(p->old_community, sizeof(p->old_community), "%s", community);
    snprintf(p->old_sha256, sizeof(p->old_sha256), "%s", sha256);
}

static void on_old(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Photos *p = userdata;

    p->query = NULL;
    if (r < 0)
        log_debug("old photos wait for the database: %s", error_message(err, r));
    for (size_t n = 0; r >= 0 && n < store_rows_count(rows); n++) {
        remove_old(p, store_rows_get(rows, n, 0), store_rows_get(rows, n, 1));
        set_old(p, store_rows_get(rows, n, 0), store_rows_get(rows, n, 1));
    }
    if (r >= 0 && store_rows_count(rows) == PHOTOS_OLD_STEP)
        p->tidied = 0; /* there may be more */
    else
        set_old(p, UUID_NONE, "");
}

void photos_sweep(Photos *p)
{
    usec_t now = boottime_usec();
    const char *device;
    void *value;

    for (size_t n = 0; map_next(p->incoming, &n, &device, &value);) {
        const Incoming *i = value;

        if (i->state <= PHOTO_COMES && now - i->heard > FORGOTTEN_AFTER)
            map_remove(p->incoming, device);
    }
    if (p->query || store_is_busy(p->store) || (p->tidied > 0 && now - p->tidied < TIDY_INTERVAL))
        return;
    p->tidied = now;
    (void) !store_query(p->store, sql_photos_forget(), NULL, NULL, NULL, NULL);
    (void) !store_query(p->store, sql_photos_old(p->days, p->old_community, p->old_sha256), on_old, p, &p->query, NULL);
}

static void fail_no_photo(Request *c, bool gone)
{
    Error err = {};
    int r = gone ? error_set(&err, ENOENT, "photo.gone",
                             "the photo is gone: it was older than photos are kept, or its file is lost")
                 : error_set(&err, ENOENT, "photo.not-found",
                             "this photo is not here: it has not come, or no event of"
                             " this community names it");

    request_fail_status(c, gone ? 410 : 404, r, &err);
    error_done(&err);
}

static void on_found(Request *c, const StoreRows *rows)
{
    static const char *const headers[] = { "Cache-Control: private, no-store", "X-Content-Type-Options: nosniff",
                                           NULL };
    const Photos *p = c->module;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = photo_path(p, c->args[0], c->args[1]), *data = NULL;
    size_t len = 0;

    if (!store_rows_true(rows, 0, 0) || !store_rows_true(rows, 0, 1)) {
        fail_no_photo(c, store_rows_true(rows, 0, 2));
        return;
    }
    int r = path ? file_read(path, PHOTO_BYTES_MAX, &data, &len, &err) : -ENOMEM;
    if (r == -ENOENT && !has_folder(p, c->args[0])) {
        error_done(&err);
        r = error_set(&err, ENOENT, "photo.no-folder",
                      "the folder of this community's photos is not there: the gateway's log names it");
        log_warning("photos of the community %s cannot be shown: there is no folder for them in %s", c->args[0],
                    p->folder);
        request_fail_status(c, 503, r, &err);
        return;
    }
    if (r == -ENOENT) { /* as after a restore, when it came after the copy of the files */
        (void) !store_query(p->store, sql_photo_gone(c->args[0], c->args[1]), NULL, NULL, NULL, NULL);
        fail_no_photo(c, true);
        return;
    }
    if (r < 0) {
        request_fail_status(c, 500, r, &err);
        return;
    }
    HttpExchange *x = TAKE_PTR(c->exchange);
    request_free(c);
    http_respond(x, 200, "image/jpeg", data, len, headers);
}

static void show(Request *c)
{
    char community[UUID_SIZE];

    if (request_uuid(c, 0, community) < 0)
        return;
    memcpy(c->args[0], community, UUID_SIZE); /* as it is in the name of the file */
    if (photo_name_is_valid(c->args[1]))
        request_query(c, sql_photo_find(community, c->args[1]), on_found);
    else
        fail_no_photo(c, false);
}

const Route photo_routes[] = {
    { "GET", "/v1/communities/*/photos/*", ACCESS_VIEWER, show, "a photo that an event names" },
    {},
};

int photos_new(sd_event *event, Store *store, DeviceConns *conns, const PhotosOptions *options, Photos **ret,
               Error *err)
{
    static const DeviceMessage messages[] = { { "photo.offer", false, on_offer },
                                              { "photo.part", false, on_part },
                                              {} };
    static const DeviceListener listener = { .messages = messages };
    _cleanup_(photos_freep) Photos *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->event = sd_event_ref(event);
    p->store = store;
    p->conns = conns;
    p->days = options->days;
    set_old(p, UUID_NONE, "");
    p->folder = strdup(options->folder);
    p->incoming = map_new(incoming_free);
    if (!p->folder || !p->incoming)
        return -ENOMEM;
    (void) tmp_sweep(p->folder, true);
    int r = saver_new(event, SELF, &p->saver, err);
    if (r >= 0)
        r = device_conns_listen(conns, &listener, p);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

Photos *photos_free(Photos *p)
{
    if (!p)
        return NULL;
    saver_free(p->saver);
    store_query_free(p->query);
    map_free(p->incoming);
    free(p->folder);
    sd_event_unref(p->event);
    free(p);
    return NULL;
}

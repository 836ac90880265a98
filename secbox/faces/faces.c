/* SPDX-License-Identifier: MIT */
/* One thing at a time: the rows, what Frigate knows, one name that is too many, one that is missing. Whatever goes wrong, all of it
 * is looked at anew a while later. */
#include "secbox/faces/faces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "secbox/faces/face-list.h"
#include "secbox/replica/replica-sql.h"

#define RETRY USEC_PER_MINUTE
/* What somebody has to change in Frigate, which then starts anew, so that it is seen at once. */
#define RETRY_REFUSED (30 * USEC_PER_MINUTE)
/* Many changes come one behind the other. */
#define SETTLE USEC_PER_SEC
/* Somebody may have changed something in Frigate's pages. */
#define LOOK_AGAIN USEC_PER_HOUR
#define MULTIPART_EXTRA 512
/* For the file of a face that was registered a moment ago, of which only Frigate knows the name. */
#define JUST_NOW "/"

typedef enum FacesState {
    FACES_WAITS,   /* something is still to be done */
    FACES_CURRENT, /* Frigate knows whom it should, but for those in whose pictures it finds no face */
    FACES_OFF,     /* it does not recognise faces by its configuration */
    FACES_REFUSES, /* our login may not */
    FACES_FAILS,
} FacesState;

struct Faces {
    sd_event *event;
    FacesParts parts;
    FacesState state;
    FaceEntry *wanted;
    size_t n;
    bool read, up; /* the rows were; the tunnel is */
    usec_t known_at;
    usec_t not_before;            /* what is not allowed is not tried all the time; 0: now */
    char community[UUID_SIZE];    /* whose they are */
    cJSON *known;                 /* NULL: Frigate is to be asked */
    char sha256[SHA256_HEX_SIZE]; /* the picture that is being fetched; "": none */
    Buf jpeg;
    char name[FACE_NAME_SIZE]; /* that is being registered or removed */
    StoreQuery *query;
    HttpCall *call;
    sd_event_source *timer;
};

static void step(Faces *f);

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Faces *f = userdata;

    f->sha256[0] = '\0'; /* a part that has not come by now does not come */
    step(f);
    return 0;
}

static void step_in(Faces *f, usec_t delay)
{
    if (timer_arm(f->event, &f->timer, delay, on_timer, f) < 0)
        log_warning("enrolled faces are brought to Frigate later: no timer");
}

static void set_state(Faces *f, FacesState state)
{
    bool news = f->state != state;

    f->state = state;
    if (news && f->parts.on_change)
        f->parts.on_change(f->parts.userdata);
}

/* Frigate is asked again what it knows. */
static void fail(Faces *f, FacesState state, const char *what)
{
    if (f->state != state)
        log_warning("Frigate does not know all faces of the community: %s", what);
    cJSON_Delete(TAKE_PTR(f->known));
    set_state(f, state);
    if (state == FACES_OFF || state == FACES_REFUSES)
        f->not_before = boottime_usec() + RETRY_REFUSED;
    step_in(f, state == FACES_FAILS ? f->parts.retry : RETRY_REFUSED);
}

static void take_rows(Faces *f, const StoreRows *rows)
{
    size_t n = store_rows_count(rows);
    FaceEntry *wanted = calloc(n + 1, sizeof(*wanted));

    if (!wanted) {
        step_in(f, f->parts.retry);
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < FACES_MAX; i++) {
        FaceEntry *w = &wanted[kept];
        const char *sha256 = store_rows_get(rows, i, 1);
        if (!sha256 || strlen(sha256) != SHA256_HEX_SIZE - 1 ||
            !face_name_make(store_rows_get(rows, i, 0), sha256, w->name))
            continue;
        memcpy(w->sha256, sha256, SHA256_HEX_SIZE);
        for (size_t old = 0; old < f->n; old++)
            if (str_equal(f->wanted[old].name, w->name)) {
                w->refused = f->wanted[old].refused;
                w->tries = f->wanted[old].tries;
            }
        kept++;
    }
    free(f->wanted);
    f->wanted = wanted;
    f->n = kept;
    f->read = true;
    step(f);
}

static void on_rows(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err _unused_, void *userdata)
{
    Faces *f = userdata;

    f->query = NULL;
    if (r >= 0)
        take_rows(f, rows);
    else
        step_in(f, f->parts.retry);
}

static void read_rows(Faces *f)
{
    const SyncCursor *at = replica_cursor(f->parts.replica);

    /* what nothing is known of yet is no reason to remove anybody */
    if (!at->known || replica_database(f->parts.replica) != DATABASE_UP)
        return;
    memcpy(f->community, at->community, UUID_SIZE);
    if (replica_query(f->parts.replica, sql_replica_faces(FACES_MAX), on_rows, f, &f->query, NULL) < 0)
        step_in(f, f->parts.retry);
}

/* What an answer means that is no 200. */
static void judge(Faces *f, int r, const HttpResponse *response)
{
    if (r < 0)
        fail(f, FACES_FAILS, "it does not answer");
    else if (response->status == 401 || response->status == 403)
        fail(f, FACES_REFUSES, "the login of FRIGATE_USER may not change its faces: give it the role admin");
    else if (response->status == 400 && response->body && strstr(response->body, "not enabled"))
        fail(f, FACES_OFF, "it recognises no faces: switch on face_recognition in its configuration");
    else
        fail(f, FACES_FAILS, "it answers with an error");
    cameras_tell_status(f->parts.cameras, r < 0 ? 0 : response->status);
}

static void on_known(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err _unused_,
                     void *userdata)
{
    Faces *f = userdata;

    f->call = NULL;
    f->known_at = boottime_usec();
    if (r < 0 || response->status != 200)
        judge(f, r, response);
    else if (face_list_parse(response->body, response->body_len, &f->known, NULL) < 0)
        fail(f, FACES_FAILS, "its list of faces is none");
    else
        step(f);
}

static void on_removed(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err _unused_,
                       void *userdata)
{
    Faces *f = userdata;

    f->call = NULL;
    if (r < 0 || response->status != 200) {
        judge(f, r, response);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(f->known, f->name);
    log_info("Frigate has forgotten the face %s", f->name);
    step(f);
}

static void note_refused(Faces *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_equal(f->wanted[i].name, f->name))
            f->wanted[i].refused = true;
    log_warning("Frigate finds no face in the picture of %s: give another one", f->name);
    if (f->parts.on_change)
        f->parts.on_change(f->parts.userdata);
}

static bool finds_no_face(const HttpResponse *response)
{
    return response->status == 400 && response->body && strstr(response->body, "No face");
}

static void on_registered(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err _unused_,
                          void *userdata)
{
    Faces *f = userdata;
    cJSON *files = NULL;

    f->call = NULL;
    if (r >= 0 && finds_no_face(response)) {
        note_refused(f);
        step(f);
        return;
    }
    if (r < 0 || response->status != 200) {
        judge(f, r, response);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(f->known, f->name);
    files = cJSON_CreateArray();
    if (json_append(files, cJSON_CreateString(JUST_NOW)) < 0 || json_add_item(f->known, f->name, files) < 0)
        cJSON_Delete(TAKE_PTR(f->known));
    log_info("Frigate knows the face %s", f->name);
    step(f);
}

static void call(Faces *f, const FrigateRequest *request, http_done_t on_done)
{
    if (frigate_get(cameras_client(f->parts.cameras), request, on_done, f, &f->call, NULL) < 0)
        fail(f, FACES_FAILS, "it cannot be asked");
}

static void remove_face(Faces *f, const cJSON *face)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;

    memcpy(f->name, face->string, FACE_NAME_SIZE);
    if (!body || json_add_item(body, "ids", cJSON_Duplicate(face, true)) < 0 || !(text = json_print(body))) {
        fail(f, FACES_FAILS, "out of memory");
        return;
    }
    const FrigateRequest request = {
        .what = FRIGATE_FACE_REMOVE, .id = f->name, .body = text, .body_len = strlen(text)
    };
    call(f, &request, on_removed);
}

/* RFC 7578, one file; the boundary is of a digest that the picture cannot hold. */
static int put_form(const Faces *f, Buf *out)
{
    _cleanup_(freep) char *head =
        str_format("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"face.jpg\"\r\n"
                   "Content-Type: image/jpeg\r\n\r\n",
                   FRIGATE_FORM_BOUNDARY);
    int r = head ? buf_puts(out, head) : -ENOMEM;

    if (r >= 0)
        r = buf_append(out, f->jpeg.data, f->jpeg.len);
    return r < 0 ? r : buf_puts(out, "\r\n--" FRIGATE_FORM_BOUNDARY "--\r\n");
}

static void register_face(Faces *f)
{
    _cleanup_(buf_done) Buf form = BUF_INIT(FACE_BYTES_MAX + MULTIPART_EXTRA);
    char digest[SHA256_HEX_SIZE];
    int r = sha256_hex(f->jpeg.data, f->jpeg.len, digest);

    if (r >= 0 && !str_equal(digest, f->sha256)) {
        log_warning("the picture of a face came damaged: it is fetched again");
        r = -EBADMSG;
    }
    f->sha256[0] = '\0';
    if (r >= 0)
        r = put_form(f, &form);
    buf_clear(&f->jpeg);
    if (r < 0) {
        step_in(f, f->parts.retry);
        return;
    }
    const FrigateRequest request = {
        .what = FRIGATE_FACE_REGISTER, .id = f->name, .body = form.data, .body_len = form.len
    };
    call(f, &request, on_registered);
}

/* The next part, or the first. */
static void fetch(Faces *f)
{
    _cleanup_(cJSON_Deletep) cJSON *m = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;

    if (m && json_add_string(m, "type", "face.want") >= 0 && json_add_string(m, "community", f->community) >= 0 &&
        json_add_string(m, "sha256", f->sha256) >= 0 && json_add_u64(m, "offset", f->jpeg.len) >= 0)
        text = json_print(m);
    if (!text || f->parts.send(text, strlen(text), f->parts.userdata) < 0)
        f->sha256[0] = '\0';
    step_in(f, f->parts.retry); /* if no answer comes */
}

static void begin_to_fetch(Faces *f, FaceEntry *w)
{
    w->tries++;
    memcpy(f->name, w->name, FACE_NAME_SIZE);
    memcpy(f->sha256, w->sha256, SHA256_HEX_SIZE);
    buf_clear(&f->jpeg);
    if (f->state != FACES_FAILS) /* that is over when all of them went well */
        set_state(f, FACES_WAITS);
    fetch(f);
}

static void settle(Faces *f, FacesState state)
{
    set_state(f, state);
    step_in(f, LOOK_AGAIN);
}

static bool is_just_now(const cJSON *face)
{
    return str_equal(cJSON_GetStringValue(cJSON_GetArrayItem(face, 0)), JUST_NOW);
}

static void step(Faces *f)
{
    const cJSON *extra;
    FaceEntry *missing;
    usec_t now = boottime_usec();

    if (f->query || f->call || f->sha256[0])
        return;
    if (!f->read)
        read_rows(f);
    if (!f->read || cameras_frigate(f->parts.cameras) != FRIGATE_UP)
        return;
    if (now < f->not_before) {
        step_in(f, f->not_before - now); /* what was changed meanwhile had the timer */
        return;
    }
    extra = face_list_find_extra(f->known, f->wanted, f->n);
    if (f->known && ((extra && is_just_now(extra)) || now - f->known_at > LOOK_AGAIN))
        cJSON_Delete(TAKE_PTR(f->known));
    if (!f->known) {
        call(f, &(FrigateRequest) { .what = FRIGATE_FACES }, on_known);
        return;
    }
    missing = extra ? NULL : face_list_find_missing(f->known, f->wanted, f->n);
    if (extra)
        remove_face(f, extra);
    else if (missing && f->up)
        begin_to_fetch(f, missing);
    else
        settle(f, missing ? FACES_WAITS : FACES_CURRENT);
}

static void take_part(Faces *f, const cJSON *m, const char *data)
{
    _cleanup_(freep) uint8_t *bytes = NULL;
    uint64_t offset = 0, size = 0;
    size_t len = 0;

    if (json_u64(m, "offset", &offset) < 0 || json_u64(m, "size", &size) < 0 || offset != f->jpeg.len)
        return;
    if (size == 0 || size > FACE_BYTES_MAX || base64_decode(data, strlen(data), &bytes, &len) < 0 || len == 0 ||
        len > size - offset || buf_append(&f->jpeg, bytes, len) < 0) {
        /* the row has changed meanwhile, which is heard of soon */
        f->sha256[0] = '\0';
        step_in(f, f->parts.retry);
    } else if (f->jpeg.len < size) {
        fetch(f);
    } else {
        register_face(f);
    }
}

bool faces_take(Faces *f, const cJSON *message)
{
    const char *data = json_string(message, "data");

    if (!str_equal(json_string(message, "type"), "face.part"))
        return false;
    if (f && data && f->sha256[0] && str_equal(f->sha256, json_string(message, "sha256")))
        take_part(f, message, data);
    return true;
}

void faces_tunnel_up(Faces *f)
{
    if (!f)
        return;
    f->up = true;
    step_in(f, 0);
}

void faces_tunnel_down(Faces *f)
{
    if (!f)
        return;
    f->up = false;
    f->sha256[0] = '\0';
}

void faces_data_changed(Faces *f)
{
    if (!f)
        return;
    f->read = false;
    if (!f->sha256[0])
        step_in(f, SETTLE);
}

void faces_surroundings_changed(Faces *f)
{
    if (!f)
        return;
    if (cameras_frigate(f->parts.cameras) != FRIGATE_UP) {
        f->not_before = 0;
        if (!f->call)
            cJSON_Delete(TAKE_PTR(f->known)); /* it may come back with others */
    }
    if (!f->sha256[0])
        step_in(f, 0);
}

cJSON *faces_describe(const Faces *f)
{
    static const char *const states[] = { "waits", "current", "off", "refuses", "fails" };
    _cleanup_(cJSON_Deletep) cJSON *o = f && f->n > 0 ? cJSON_CreateObject() : NULL;
    size_t refused = 0, known = 0;

    for (size_t i = 0; o && i < f->n; i++) {
        refused += f->wanted[i].refused;
        known += cJSON_HasObjectItem(f->known, f->wanted[i].name) ? 1 : 0;
    }
    if (!o || json_add_string(o, "state", states[f->state]) < 0 || json_add_int(o, "wanted", (int) f->n) < 0 ||
        json_add_int(o, "known", (int) known) < 0 || (refused > 0 && json_add_int(o, "refused", (int) refused) < 0))
        return NULL;
    return TAKE_PTR(o);
}

int faces_new(sd_event *event, const FacesParts *parts, Faces **ret)
{
    Faces *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    *f = (Faces) { .event = sd_event_ref(event), .parts = *parts, .jpeg = BUF_INIT(FACE_BYTES_MAX) };
    if (f->parts.retry == 0)
        f->parts.retry = RETRY;
    *ret = f;
    return 0;
}

Faces *faces_free(Faces *f)
{
    if (!f)
        return NULL;
    sd_event_source_disable_unref(f->timer);
    store_query_free(f->query);
    http_call_free(f->call);
    cJSON_Delete(f->known);
    buf_done(&f->jpeg);
    free(f->wanted);
    sd_event_unref(f->event);
    free(f);
    return NULL;
}

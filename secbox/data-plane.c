/* SPDX-License-Identifier: MIT */
#include "secbox/data-plane.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "secbox/control/control.h"
#include "secbox/control/verbs.h"
#include "secbox/faces/faces.h"
#include "secbox/health/data-health.h"
#include "secbox/lan/lan.h"
#include "secbox/matches/matches.h"
#include "secbox/media/media-sessions.h"
#include "secbox/photos/photo-sender.h"
#include "secbox/queue/queue.h"
#include "secbox/replica/replica.h"
#include "secbox/replica/schema.h"

#define BYTES_PER_KBIT 125
/* How soon the port is tried again, when it could not be had. */
#define LAN_RETRY (30 * USEC_PER_SEC)

struct DataPlane {
    sd_event *event;
    const Config *config;
    const char *database_url; /* NULL: none, or none that can be read */
    Lan *lan;                 /* NULL: not yet, or not wanted */
    char **revoked;           /* tokens that were taken back while it was not there yet; NULL: none */
    sd_event_source *lan_retry;
    bool tunnel_up;
    Error fault; /* of DATABASE_URL; empty when there is none */
    ControlParts parts;
    Cameras *cameras; /* NULL: there is no Frigate */
    Matches *matches; /* the same */
    Faces *faces;     /* NULL: there is no Frigate, or no database */
    UplinkBudget media_bound;
    PhotoStore *photos;
    PhotoSender *photo_sender;
    Control *control;
    DataHealth *health;
    data_plane_send_t send;
    void *userdata;
};

static int send_text(const char *text, size_t len, void *userdata)
{
    const DataPlane *d = userdata;

    return d->send ? d->send(text, len, d->userdata) : -ENOTCONN;
}

static int send_message(cJSON *message, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message;
    _cleanup_(freep) char *text = json_print(m);

    return text ? send_text(text, strlen(text), userdata) : -ENOMEM;
}

static int send_copy(const cJSON *message, void *userdata)
{
    _cleanup_(freep) char *text = json_print(message);

    return text ? send_text(text, strlen(text), userdata) : -ENOMEM;
}

static bool lan_serves(void *userdata)
{
    const DataPlane *d = userdata;

    return d->lan != NULL;
}

static uint64_t certificate_until(void *userdata)
{
    const DataPlane *d = userdata;

    return d->lan ? lan_certificate_until(d->lan) : 0;
}

static void tell_status(const DataPlane *d)
{
    if (d->lan)
        lan_status_changed(d->lan);
    data_health_look(d->health);
}

/* Events belong to the community whose data the box has. */
static void on_change(Replica *r, void *userdata)
{
    const DataPlane *d = userdata;
    const SyncCursor *at = replica_cursor(r);

    if (d->parts.queue && at->known)
        queue_set_community(d->parts.queue, at->community);
    faces_surroundings_changed(d->faces);
    tell_status(d);
}

static void on_data(Replica *r _unused_, void *userdata)
{
    const DataPlane *d = userdata;

    faces_data_changed(d->faces);
    if (d->lan)
        lan_data_changed(d->lan);
}

static const ReplicaEvents replica_events = { .send = send_message, .on_change = on_change, .on_data = on_data };

static int add_status(cJSON *status, void *userdata)
{
    const DataPlane *d = userdata;
    int r = json_add_bool(status, "cloud", d->tunnel_up);

    if (r >= 0 && d->parts.replica)
        r = json_add_string(status, "databaseState", database_state_name(replica_database(d->parts.replica)));
    if (r >= 0)
        r = json_add_int(status, "photos", (int) photo_store_waiting(d->photos));
    if (r >= 0 && d->parts.replica)
        r = json_add_string(status, "sync", sync_state_name((int) replica_state(d->parts.replica)));
    return r;
}

static void on_photo(void *userdata)
{
    const DataPlane *d = userdata;

    photo_sender_wake(d->photo_sender);
}

static bool may_send_photos(void *userdata)
{
    const DataPlane *d = userdata;

    return d->parts.queue && queue_is_drained(d->parts.queue);
}

static const char *photo_community(void *userdata)
{
    const DataPlane *d = userdata;
    const SyncCursor *at = d->parts.replica ? replica_cursor(d->parts.replica) : NULL;

    return at && at->known ? at->community : NULL;
}

static int start_photos(DataPlane *d, Error *err)
{
    PhotoSenderParts parts = {
        .send = send_text, .may_send = may_send_photos, .community = photo_community, .userdata = d
    };
    _cleanup_(freep) char *dir = path_join(d->config->state_dir, "photos");
    int r = dir ? photo_store_open(dir, PHOTOS_SIZE_MAX, &d->photos, err) : -ENOMEM;

    parts.store = d->photos;
    return r < 0 ? r : photo_sender_new(d->event, &parts, &d->photo_sender);
}

static void want_picture(const char *id, void *userdata)
{
    const DataPlane *d = userdata;

    if (d->matches)
        matches_ask_picture(d->matches, id);
}

static void hand_over_revoked(DataPlane *d)
{
    int n = (int) strv_length(d->revoked);
    _cleanup_(cJSON_Deletep) cJSON *tokens =
        n > 0 ? cJSON_CreateStringArray((const char *const *) d->revoked, n) : NULL;

    if (n > 0 && !tokens)
        log_warning("tokens for recordings that were taken back can begin something still: out of memory");
    lan_revoke_media(d->lan, tokens);
    d->revoked = strv_free(d->revoked);
}

static int start_lan(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    DataPlane *d = userdata;
    const Config *c = d->config;
    _cleanup_(error_done) Error err = {};
    const LanOptions options = {
        .address = c->lan_address,
        .port = c->lan_port,
        .media_address = c->media_address,
        .media_port = c->media_port,
        .media_origin = c->media_origin,
        .media_bound = &d->media_bound,
        .cameras = d->cameras,
        .entry_camera = c->entry_camera,
        .state_dir = c->state_dir,
        .run_dir = c->run_dir,
        .device_id = c->device_id,
        .names = c->lan_names,
        .database_url = d->database_url,
        .rate = c->lan_rate,
        .queue = d->parts.queue,
        .photos = d->photos,
        .on_photo = on_photo,
        .want_picture = want_picture,
        .add_status = add_status,
        .userdata = d,
    };
    int r = lan_new(d->event, &options, &d->lan, &err);

    if (r >= 0) {
        hand_over_revoked(d);
        log_notice("the guards' pages are at https://%s:%u", c->lan_address, lan_port(d->lan));
        return 0;
    }
    log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "guards have no pages; it is tried again");
    return timer_arm(d->event, &d->lan_retry, LAN_RETRY, start_lan, d);
}

/* Not being asked is no reason not to run. */
static void start_control(DataPlane *d, sd_event *event, const Config *config)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = path_join(config->run_dir, "control.sock");
    d->parts.tunnel_up = &d->tunnel_up;
    int r = path ? control_new(event, path, control_answer_verb, &d->parts, &d->control, &err) : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "secboxctl cannot ask this secbox");
}

void data_plane_tell_config(const DataPlane *d)
{
    config_tell(d->fault.id ? &d->fault : NULL, -EINVAL);
}

static void on_cameras(void *userdata)
{
    const DataPlane *d = userdata;

    faces_surroundings_changed(d->faces);
    if (d->matches)
        matches_cameras_changed(d->matches);
    if (d->lan)
        lan_cameras_changed(d->lan);
    tell_status(d);
}

/* Guards are told whatever the cloud and the database do. */
static void on_sighting(const Sighting *s, void *userdata)
{
    const DataPlane *d = userdata;

    if (d->lan)
        lan_sighting(d->lan, s);
}

static void on_sighting_picture(const char *id, const void *data, size_t len, void *userdata)
{
    const DataPlane *d = userdata;

    if (d->lan)
        lan_sighting_picture(d->lan, id, data, len);
}

static int start_matches(DataPlane *d, Error *err)
{
    const MatchesOptions options = {
        .cameras = d->cameras,
        .queue = d->parts.queue,
        .device_id = d->config->device_id ? d->config->device_id : "",
        .state_dir = d->config->state_dir,
        .on_seen = on_sighting,
        .on_picture = on_sighting_picture,
        .userdata = d,
    };

    return d->cameras ? matches_new(d->event, &options, &d->matches, err) : 0;
}

static int start_cameras(DataPlane *d, Error *err)
{
    const CamerasOptions options = {
        .url = d->config->frigate_url,
        .user = d->config->frigate_user,
        .password = d->config->frigate_password,
        .on_change = on_cameras,
        .userdata = d,
    };

    return options.url ? cameras_new(d->event, &options, &d->cameras, err) : 0;
}

static void on_faces(void *userdata)
{
    const DataPlane *d = userdata;

    data_health_look(d->health);
}

static cJSON *describe_faces(void *userdata)
{
    const DataPlane *d = userdata;

    return faces_describe(d->faces);
}

static int start_faces(DataPlane *d)
{
    const FacesParts parts = {
        .cameras = d->cameras, .replica = d->parts.replica, .send = send_text, .on_change = on_faces, .userdata = d
    };

    return d->cameras && d->parts.replica ? faces_new(d->event, &parts, &d->faces) : 0;
}

static int start_health(DataPlane *d, Error *err)
{
    const DataHealthParts parts = {
        .replica = d->parts.replica,
        .queue = d->parts.queue,
        .lan_serves = d->config->lan_address ? lan_serves : NULL,
        .certificate_until = certificate_until,
        .old_seconds = d->config->data_old_hours * 3600ULL,
        .cameras = d->cameras,
        .faces = describe_faces,
        .entry_camera = d->config->entry_camera,
        .send = send_copy,
        .userdata = d,
    };
    int r = data_health_new(d->event, &parts, &d->health, err);

    d->parts.health = d->health;
    return r;
}

/* A DATABASE_URL that cannot be read is no reason not to run, either: the tunnel is how it is mended. */
static int start_database(DataPlane *d, Error *err)
{
    const char *url = d->config->database_url;
    int r = url ? replica_new(d->event, url, &replica_events, d, &d->parts.replica, err) : 0;

    if (r < 0 && str_equal(error_id(err), "store.bad-config")) {
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "secbox runs without a database");
        d->fault = *err;
        *err = (Error) {};
        data_plane_tell_config(d);
        return 0;
    }
    if (url && r >= 0)
        r = queue_new(d->event, url, &replica_schema, send_text, d, &d->parts.queue, err);
    if (url && r >= 0)
        queue_set_bounds(d->parts.queue, d->config->queue_mb, d->config->queue_days);
    d->database_url = url;
    return r;
}

int data_plane_new(sd_event *event, const Config *config, DataPlane **ret, Error *err)
{
    _cleanup_(data_plane_freep) DataPlane *d = calloc(1, sizeof(*d));

    if (!d)
        return error_from_errno(err, -ENOMEM, "cannot start the replica");
    d->event = sd_event_ref(event);
    d->config = config;
    d->media_bound = uplink_budget_make((uint64_t) config->media_kbit * BYTES_PER_KBIT, boottime_usec());
    int r = start_database(d, err);
    if (r < 0)
        return r;
    r = start_cameras(d, err);
    if (r < 0)
        return r;
    r = start_health(d, err);
    if (r < 0)
        return r;
    r = start_photos(d, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot keep photos");
    r = start_matches(d, err);
    if (r < 0)
        return r;
    r = start_faces(d);
    if (r < 0)
        return error_from_errno(err, r, "cannot bring faces to Frigate");
    start_control(d, event, config);
    if (config->lan_address)
        r = start_lan(NULL, 0, d);
    if (r < 0)
        return error_from_errno(err, r, "cannot serve the guards' pages");
    *ret = TAKE_PTR(d);
    return 0;
}

DataPlane *data_plane_free(DataPlane *d)
{
    if (!d)
        return NULL;
    control_free(d->control);
    sd_event_source_disable_unref(d->lan_retry);
    lan_free(d->lan);
    photo_sender_free(d->photo_sender);
    photo_store_free(d->photos);
    data_health_free(d->health);
    faces_free(d->faces);
    matches_free(d->matches);
    cameras_free(d->cameras);
    strv_free(d->revoked);
    queue_free(d->parts.queue);
    replica_free(d->parts.replica);
    error_done(&d->fault);
    sd_event_unref(d->event);
    free(d);
    return NULL;
}

void data_plane_set_send(DataPlane *d, data_plane_send_t send, void *userdata)
{
    d->send = send;
    d->userdata = userdata;
}

Cameras *data_plane_cameras(const DataPlane *d)
{
    return d->cameras;
}

UplinkBudget *data_plane_media_bound(DataPlane *d)
{
    return &d->media_bound;
}

void data_plane_tunnel_up(DataPlane *d)
{
    d->tunnel_up = true;
    data_health_tunnel_up(d->health);
    tell_status(d);
    if (!d->parts.replica)
        return;
    photo_sender_tunnel_up(d->photo_sender);
    faces_tunnel_up(d->faces);
    replica_tunnel_up(d->parts.replica);
    queue_tunnel_up(d->parts.queue);
}

void data_plane_tunnel_down(DataPlane *d)
{
    d->tunnel_up = false;
    photo_sender_tunnel_down(d->photo_sender);
    faces_tunnel_down(d->faces);
    data_health_tunnel_down(d->health);
    tell_status(d);
    if (!d->parts.replica)
        return;
    replica_tunnel_down(d->parts.replica);
    queue_tunnel_down(d->parts.queue);
}

static int fill_answer(DataPlane *d, const cJSON *ask, cJSON *answer)
{
    _cleanup_(error_done) Error err = {};
    int r = d->lan ? lan_certificate(d->lan, ask, answer, &err)
                   : error_set(&err, ENOTCONN, "lan.off",
                               "this secbox serves no guards' pages now: see LAN_LISTEN in secbox.env, and its log");

    return r < 0 ? json_add_item(answer, "error", json_from_error(&err, r)) : 0;
}

static void answer_certificate(DataPlane *d, const cJSON *ask)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = message_new("lan.certificate.report");

    if (!answer || json_add_string(answer, "id", json_string(ask, "id")) < 0 || fill_answer(d, ask, answer) < 0 ||
        send_copy(answer, d) < 0)
        log_warning("the gateway has no answer about the certificate of the guards' pages");
    data_health_look(d->health);
}

static void take_data(DataPlane *d, const cJSON *message, const char *text)
{
    if (d->parts.replica && !replica_take(d->parts.replica, message, text) &&
        queue_take(d->parts.queue, message, text) &&
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(message, "rejected")) > 0)
        data_health_look(d->health);
}

/* The newest of them: as many as are remembered where they count. */
static int keep_revoked(DataPlane *d, const cJSON *tokens)
{
    const cJSON *token;
    int r = 0;

    cJSON_ArrayForEach(token, tokens) {
        const char *id = cJSON_IsString(token) && jwt_id_is_valid(token->valuestring) ? token->valuestring : NULL;
        size_t n = strv_length(d->revoked);

        if (!id || strv_contains(d->revoked, id))
            continue;
        if (n == MEDIA_REVOKED_MAX) {
            free(d->revoked[0]);
            memmove(d->revoked, d->revoked + 1, n * sizeof(*d->revoked)); /* with the NULL behind them */
        }
        if (strv_add(&d->revoked, id) < 0)
            r = -ENOMEM;
    }
    return r;
}

/* The gateway does not say it again on this connection, while the port may be had in a moment. */
static void take_revocation(DataPlane *d, const cJSON *message)
{
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(message, "tokens");

    if (d->lan)
        lan_revoke_media(d->lan, tokens);
    else if (d->config->lan_address && keep_revoked(d, tokens) < 0)
        log_warning("a token for a recording that was taken back can begin something still: out of memory");
}

void data_plane_take(DataPlane *d, const cJSON *message, const char *text)
{
    if (str_equal(json_string(message, "type"), "lan.certificate.ask"))
        answer_certificate(d, message);
    else if (str_equal(json_string(message, "type"), "media.revoke"))
        take_revocation(d, message);
    else if (!data_health_take(d->health, message) && !photo_sender_take(d->photo_sender, message) &&
             !faces_take(d->faces, message))
        take_data(d, message, text);
}

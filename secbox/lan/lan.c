/* SPDX-License-Identifier: MIT */
/* The listener, its certificate, and which handler a request belongs to. */
#include "secbox/lan/lan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/origin.h"
#include "secbox/lan/app-files.h"
#include "secbox/lan/box-names.h"
#include "secbox/lan/lan-impl.h"

#define CONNECTIONS_MAX 128
#define HANDSHAKES_MAX 16
/* How soon another address of the box is in its certificate. */
#define NAMES_INTERVAL USEC_PER_MINUTE
#define CERT_FILE_MAX ((size_t) 16 * 1024)

/* Names that lead here are those of the certificates. */
static bool is_own_name(const char *name, void *userdata)
{
    const Lan *lan = userdata;

    return str_equal(name, "localhost") || strv_contains(lan->names, name) || http_server_is_named(lan->server, name);
}

static bool is_from_elsewhere(const HttpExchange *x)
{
    return http_is_from_elsewhere("https", http_header(x, "Host"), http_header(x, "Origin"),
                                  http_header(x, "Sec-Fetch-Site"));
}

/* The value of one cookie: a new string, or NULL. */
static char *cookie(const HttpExchange *x, const char *name)
{
    const char *at = http_header(x, "Cookie");
    size_t len = strlen(name);

    while (at && *at) {
        at += strspn(at, "; ");
        size_t end = strcspn(at, ";");
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return strndup(at + len + 1, end - len - 1);
        at += end;
    }
    return NULL;
}

static bool identify(LanRequest *q)
{
    const GuardSession *s;

    q->token = cookie(q->exchange, "__Host-session");
    s = guard_session_find(q->lan->sessions, q->token, realtime_usec());
    q->browser = cookie(q->exchange, "__Host-browser");
    if (!s)
        return true;
    q->guard = strdup(s->guard);
    q->guard_name = strdup(s->name);
    return q->guard && q->guard_name;
}

static bool take_body(LanRequest *q, const LanRoute *route)
{
    const char *type = http_header(q->exchange, "Content-Type");
    bool jpeg = route->access == LAN_JPEG;
    _cleanup_(error_done) Error err = {};
    size_t len = 0;
    const char *text = http_body(q->exchange, &len);

    if (str_equal(http_method(q->exchange), "GET"))
        return true;
    if (!type || !str_starts(type, jpeg ? "image/jpeg" : "application/json")) {
        lan_refuse(q, 415, "lan.bad-request", "send %s",
                   jpeg ? "a photo, with Content-Type: image/jpeg" : "JSON, with Content-Type: application/json");
        return false;
    }
    if (jpeg)
        return true;
    int r = json_parse_object(text, len, &q->body, &err);
    if (r < 0)
        lan_fail(q, 400, r, &err);
    return r >= 0;
}

/* A browser that a guard of now has used: its cookie cannot be guessed. */
static bool is_known_browser(const LanRequest *q)
{
    const GateData *data = q->lan->data;

    for (size_t i = 0; q->browser && i < gate_data_guards_count(data); i++)
        if (guard_sessions_know(q->lan->sessions, gate_data_guard_at(data, i)->id, q->browser))
            return true;
    return false;
}

/* Whether it may be answered; else it was refused. */
static bool is_in_bounds(LanRequest *q, const LanRoute *route)
{
    const char *who = q->guard ? q->token : is_known_browser(q) ? q->browser : NULL;
    bool about_people = route->access == LAN_ABOUT_PEOPLE;
    usec_t wait = request_throttle_take(q->lan->request_throttle, who, about_people, boottime_usec());

    if (wait > 0)
        lan_refuse_for(q, wait, "lan.too-many-requests", "too much is asked at once");
    return wait == 0;
}

static void run_route(LanRequest *q, const LanRoute *route)
{
    if (!identify(q)) {
        lan_answer(q, 500, NULL);
    } else if (!is_in_bounds(q, route)) {
        return;
    } else if (route->access != LAN_OPEN && !q->guard) {
        lan_refuse(q, 401, "lan.no-session", "log in with your PIN");
    } else if (take_body(q, route)) {
        route->handler(q);
    }
}

static const LanRoute *route_find(const HttpExchange *x, bool *ret_other_method)
{
    const LanRoute *const tables[] = { lan_login_routes, lan_lookup_routes,   lan_list_routes,   lan_entry_routes,
                                       lan_photo_routes, lan_sighting_routes, lan_camera_routes, lan_status_routes };

    *ret_other_method = false;
    for (size_t i = 0; i < ELEMENTSOF(tables); i++)
        for (const LanRoute *r = tables[i]; r->path; r++) {
            if (!str_equal(r->path, http_path(x)))
                continue;
            if (str_equal(r->method, http_method(x)))
                return r;
            *ret_other_method = true;
        }
    return NULL;
}

static void reply_file(HttpExchange *x, const AppFile *f)
{
    char tag[SHA256_HEX_SIZE], header[ETAG_HEADER_SIZE];
    const char *has = http_header(x, "If-None-Match"), *const headers[] = { header, NULL };

    if (sha256_hex(f->data, app_file_size(f), tag) < 0) {
        lan_reply_raw(x, 500, "text/plain", "", 0, NULL);
        return;
    }
    snprintf(header, sizeof(header), "ETag: \"%.32s\"", tag);
    if (has && strstr(has, header + strlen("ETag: ")))
        lan_reply_raw(x, 304, f->type, "", 0, headers);
    else
        lan_reply_raw(x, 200, f->type, (const char *) f->data, app_file_size(f), headers);
}

static void reply_authority(const Lan *lan, HttpExchange *x)
{
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;

    if (file_read(lan->authority.ca_cert, CERT_FILE_MAX, &text, &len, NULL) < 0)
        lan_reply_raw(x, 503, "text/plain", "", 0, NULL);
    else
        lan_reply_raw(x, 200, "application/x-x509-ca-cert", text, len, NULL);
}

static void reply_profile(const Lan *lan, HttpExchange *x)
{
    _cleanup_(freep) char *text = NULL;

    if (lan_authority_profile(&lan->authority, &text, NULL) < 0)
        lan_reply_raw(x, 503, "text/plain", "", 0, NULL);
    else
        lan_reply_raw(x, 200, "application/x-apple-aspen-config", text, strlen(text), NULL);
}

static void reply_file_or_none(const Lan *lan, HttpExchange *x)
{
    const AppFile *file = app_file_find(http_path(x));
    bool get = str_equal(http_method(x), "GET") || str_equal(http_method(x), "HEAD");

    if (get && file)
        reply_file(x, file);
    else if (get && str_equal(http_path(x), "/ca.crt"))
        reply_authority(lan, x);
    else if (get && str_equal(http_path(x), "/secbox.mobileconfig"))
        reply_profile(lan, x);
    else
        lan_reply_raw(x, 404, "text/plain", "not here\n", 9, NULL);
}

static void on_request(HttpExchange *x, void *userdata)
{
    Lan *lan = userdata;
    bool other_method;
    const LanRoute *route = route_find(x, &other_method);

    if (!http_host_is_ours(http_header(x, "Host"), is_own_name, lan)) {
        static const char text[] =
            "this name is not the box's: add it to LAN_NAMES in secbox.env if it ends in ." LAN_HOST
            ", or use the box's address\n";
        lan_reply_raw(x, 421, "text/plain", text, strlen(text), NULL);
    } else if (route && is_from_elsewhere(x)) {
        static const char text[] = "this request comes from a page of another site\n";
        lan_reply_raw(x, 403, "text/plain", text, strlen(text), NULL);
    } else if (route) {
        LanRequest *q = lan_request_new(lan, x);
        if (q)
            run_route(q, route);
    } else if (other_method) {
        lan_reply_raw(x, 405, "text/plain", "", 0, NULL);
    } else if (!media_take(lan->media, x)) {
        reply_file_or_none(lan, x);
    }
}

/* For the pairing page on the host, which says by what a guard's tablet knows the box. */
static void tell_fingerprint(const Lan *lan)
{
    _cleanup_(freep) char *path = path_join(lan->run_dir, LAN_AUTHORITY_NAME), *text = NULL;

    if (!path || lan_authority_fingerprint(&lan->authority, &text, NULL) < 0 ||
        file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, NULL) < 0)
        log_debug("the fingerprint of the guards' authority cannot be told");
}

/* The server shows the box's own certificate, and the cloud's where that is good, to new connections. Whatever is wrong with the
 * latter is no reason to go without pages. */
static int show_certificates(Lan *lan, Error *err)
{
    _cleanup_(error_done) Error why = {};
    bool cloud = cloud_cert_is_good(&lan->cloud_cert, realtime_usec());
    int r = !cloud ? 0
                   : http_server_renew_both(lan->server, lan->authority.cert, lan->authority.key, lan->cloud_cert.cert,
                                            lan->cloud_cert.key, &why);

    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &why, r, "the cloud's certificate for the guards' pages is not used");
        lan->cloud_cert.there = cloud = false;
    }
    if (!cloud)
        r = http_server_renew(lan->server, lan->authority.cert, lan->authority.key, err);
    if (r >= 0 && lan->cloud_shown && !cloud)
        log_notice("the cloud's certificate is not shown any more: all tablets get the box's own");
    if (r >= 0)
        lan->cloud_shown = cloud;
    return r;
}

static int show_next(const char *cert, const char *key, void *userdata, Error *err)
{
    Lan *lan = userdata;
    int r = http_server_renew_both(lan->server, lan->authority.cert, lan->authority.key, cert, key, err);

    lan->cloud_shown |= r >= 0;
    return r;
}

/* Follows the box's names, addresses and the clock. */
static int renew_certificate(Lan *lan, Error *err)
{
    _cleanup_(strv_freep) char **names = NULL;
    bool changed = false;
    int r = box_names(lan->run_dir, lan->more_names, &names, err);

    if (r >= 0)
        r = lan_authority_ensure(&lan->authority, (const char *const *) names, realtime_usec(), &changed, err);
    lan->stale |= r >= 0 && (changed || lan->cloud_shown != cloud_cert_is_good(&lan->cloud_cert, realtime_usec()));
    if (r >= 0 && lan->stale && lan->server)
        r = show_certificates(lan, err);
    if (r >= 0 && lan->stale)
        r = media_renew(lan->media, lan->authority.cert, lan->authority.key, err);
    if (r < 0)
        return r;
    if (changed || !lan->names)
        tell_fingerprint(lan);
    lan->stale = false;
    if (changed)
        log_info("certificate of the guards' pages made for %zu names and addresses", strv_length(names));
    strv_free(lan->names);
    lan->names = TAKE_PTR(names);
    return 0;
}

static const Key *media_key(void *userdata)
{
    const Lan *lan = userdata;

    return gate_data_community(lan->data)->pass_key;
}

static int start_media(Lan *lan, const LanOptions *o, Error *err)
{
    const MediaOptions options = {
        .device_id = o->device_id,
        .cameras = o->cameras,
        .origin = o->media_origin,
        .bound = o->media_bound,
        .key = media_key,
        .userdata = lan,
    };

    return media_new(lan->event, &options, &lan->media, err);
}

/* Guards do not lose their pages because this port cannot be had. */
static void keep_media(Lan *lan)
{
    _cleanup_(error_done) Error err = {};
    int r;

    if (media_listens(lan->media) || !lan->media_address)
        return;
    r = media_listen(lan->media, lan->media_address, lan->media_port, lan->authority.cert, lan->authority.key, &err);
    if (r >= 0)
        log_notice("recordings are at https://%s:%u/media/ for viewers from outside", lan->media_address,
                   lan->media_port);
    else if (!lan->media_complained)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "nobody outside gets recordings; it is tried again");
    lan->media_complained = r < 0;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Lan *lan = userdata;
    _cleanup_(error_done) Error err = {};
    int r = renew_certificate(lan, &err);

    keep_media(lan);

    if (r >= 0)
        free(TAKE_PTR(lan->last_failure));
    if (r < 0 && !str_equal(lan->last_failure, error_message(&err, r))) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the guards' pages keep their certificate");
        free(lan->last_failure);
        lan->last_failure = strdup(error_message(&err, r));
    }
    return timer_arm(lan->event, &lan->timer, NAMES_INTERVAL, on_timer, lan);
}

static bool guard_stays(const char *guard, void *userdata)
{
    const Lan *lan = userdata;

    return gate_data_guard(lan->data, guard) != NULL;
}

static void on_loaded(void *userdata)
{
    Lan *lan = userdata;
    _cleanup_(error_done) Error err = {};
    int r = guard_sessions_keep(lan->sessions, guard_stays, lan, &err);

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "who is logged in is not saved");
    sightings_bans_are_read(lan->sightings);
    lan_events_tell(lan->events, "data");
}

static void on_notice(void *userdata)
{
    const Lan *lan = userdata;

    lan_events_tell(lan->events, "sightings");
}

static void want_picture(const char *id, void *userdata)
{
    const Lan *lan = userdata;

    if (lan->want_picture)
        lan->want_picture(id, lan->userdata);
}

static const SightingsEvents sightings_events = { .on_notice = on_notice, .want_picture = want_picture };

static int keep_options(Lan *lan, sd_event *event, const LanOptions *o)
{
    lan->event = sd_event_ref(event);
    lan->queue = o->queue;
    lan->photos = o->photos;
    lan->cameras = o->cameras;
    lan->entry_camera = o->cameras && o->entry_camera ? strdup(o->entry_camera) : NULL;
    lan->on_photo = o->on_photo;
    lan->want_picture = o->want_picture;
    lan->add_status = o->add_status;
    lan->userdata = o->userdata;
    lan->written = realtime_usec(); /* not what another run has counted to */
    lan->run_dir = strdup(o->run_dir);
    lan->state_dir = path_join(o->state_dir, "lan");
    lan->more_names = o->names ? strdup(o->names) : NULL;
    lan->media_address = o->media_address ? strdup(o->media_address) : NULL;
    lan->media_port = o->media_port;
    lan->device_id = strdup(o->device_id);
    lan->events = lan_events_new(event);
    lan->throttle = login_throttle_new();
    lan->request_throttle = request_throttle_new(o->rate);
    return lan->run_dir && lan->state_dir && lan->events && lan->throttle && lan->request_throttle &&
                   (!o->names || lan->more_names) && (lan->entry_camera || !o->cameras || !o->entry_camera) &&
                   (!o->media_address || lan->media_address) && lan->device_id
               ? 0
               : -ENOMEM;
}

static int load_sessions(Lan *lan)
{
    _cleanup_(freep) char *path = path_join(lan->state_dir, "sessions.json");

    return path ? guard_sessions_load(path, &lan->sessions) : -ENOMEM;
}

static int listen_at(Lan *lan, const LanOptions *o, Error *err)
{
    const HttpServerOptions server = {
        .address = o->address,
        .port = o->port,
        .cert_file = lan->authority.cert,
        .key_file = lan->authority.key,
        .max_connections = CONNECTIONS_MAX,
        .max_handshakes = HANDSHAKES_MAX,
        .handler = on_request,
        .userdata = lan,
    };

    return http_server_new(lan->event, &server, &lan->server, err);
}

/* They would be missed only when a tablet cannot get in. */
static int tell_unusable(const char *list)
{
    _cleanup_(freep) char *copy = strdup(list);
    char *rest = NULL;

    for (char *name = copy ? strtok_r(copy, ", ", &rest) : NULL; name; name = strtok_r(NULL, ", ", &rest))
        if (!box_name_is_usable(name))
            log_warning("LAN_NAMES: %s is left out: the box's authority vouches only for private addresses and names "
                        "that end in ." LAN_HOST,
                        name);
    return copy ? 0 : -ENOMEM;
}

int lan_new(sd_event *event, const LanOptions *o, Lan **ret, Error *err)
{
    _cleanup_(lan_freep) Lan *lan = calloc(1, sizeof(*lan));
    int r = lan ? keep_options(lan, event, o) : -ENOMEM;

    if (r >= 0 && o->names)
        r = tell_unusable(o->names);
    if (r >= 0)
        r = lan_authority_init(&lan->authority, lan->state_dir, o->device_id, err);
    if (r >= 0)
        r = cloud_cert_init(&lan->cloud_cert, lan->state_dir, err);
    if (r >= 0)
        r = load_sessions(lan);
    if (r >= 0)
        r = gate_data_new(event, o->database_url, on_loaded, lan, &lan->data, err);
    if (r >= 0 && !(lan->sightings = sightings_new(lan->data, &sightings_events, lan)))
        r = -ENOMEM;
    if (r >= 0)
        r = start_media(lan, o, err);
    if (r >= 0)
        r = renew_certificate(lan, err);
    if (r >= 0)
        r = listen_at(lan, o, err);
    if (r >= 0 && cloud_cert_is_good(&lan->cloud_cert, realtime_usec()))
        r = show_certificates(lan, err);
    if (r >= 0)
        r = timer_arm(event, &lan->timer, NAMES_INTERVAL, on_timer, lan);
    if (r < 0)
        return error_from_errno(err, r, "cannot serve the guards' pages");
    keep_media(lan);
    *ret = TAKE_PTR(lan);
    return 0;
}

Lan *lan_free(Lan *lan)
{
    if (!lan)
        return NULL;
    http_server_free(lan->server);
    media_free(lan->media);
    while (lan->requests)
        lan_request_free(lan->requests);
    lan_viewers_free(lan);
    lan_writings_free(lan);
    sd_event_source_disable_unref(lan->timer);
    lan_events_free(lan->events);
    sightings_free(lan->sightings);
    gate_data_free(lan->data);
    guard_sessions_free(lan->sessions);
    login_throttle_free(lan->throttle);
    request_throttle_free(lan->request_throttle);
    lan_authority_done(&lan->authority);
    cloud_cert_done(&lan->cloud_cert);
    strv_free(lan->names);
    free(lan->state_dir);
    free(lan->run_dir);
    free(lan->more_names);
    free(lan->entry_camera);
    free(lan->media_address);
    free(lan->device_id);
    free(lan->last_failure);
    sd_event_unref(lan->event);
    free(lan);
    return NULL;
}

uint16_t lan_port(const Lan *lan)
{
    return http_server_port(lan->server);
}

static int set_certificate(Lan *lan, const cJSON *ask, Error *err)
{
    const char *pem = json_string(ask, "certificate");
    int r = pem ? cloud_cert_set(&lan->cloud_cert, pem, realtime_usec(), show_next, lan, err)
                : error_set(err, EBADMSG, "lan.certificate", "the message holds no certificate");

    if (r >= 0)
        log_notice("the cloud's certificate for the guards' pages is in use, for %s", lan->cloud_cert.names);
    else
        lan->stale = true; /* what was tried may be shown already */
    return r;
}

static int remove_certificate(Lan *lan, Error *err)
{
    int r = cloud_cert_remove(&lan->cloud_cert, err);

    lan->stale = true;
    return r;
}

int lan_certificate(Lan *lan, const cJSON *ask, cJSON *answer, Error *err)
{
    const char *action = json_string(ask, "action");
    _cleanup_(freep) char *request = NULL;
    int r = 0;

    if (str_equal(action, "request"))
        r = cloud_cert_request(&lan->cloud_cert, cJSON_GetObjectItemCaseSensitive(ask, "names"), &request, err);
    else if (str_equal(action, "set"))
        r = set_certificate(lan, ask, err);
    else if (str_equal(action, "remove"))
        r = remove_certificate(lan, err);
    else if (!str_equal(action, "show"))
        r = error_set(err, EBADMSG, "lan.certificate-action", "this secbox does not know how to %s a certificate",
                      action);
    if (lan->stale) {
        int shown = renew_certificate(lan, r < 0 ? NULL : err);
        r = r < 0 ? r : shown;
    }
    if (r < 0)
        return r;
    r = json_add_item(answer, "certificate", cloud_cert_describe(&lan->cloud_cert, lan->cloud_shown));
    return r < 0 ? r : json_add_string(answer, "request", request);
}

uint64_t lan_certificate_until(const Lan *lan)
{
    return lan->cloud_cert.there ? lan->cloud_cert.until : 0;
}

void lan_data_changed(Lan *lan)
{
    gate_data_changed(lan->data);
}

void lan_sighting(Lan *lan, const Sighting *s)
{
    sightings_take(lan->sightings, s);
}

void lan_sighting_picture(Lan *lan, const char *id, const void *data, size_t len)
{
    sightings_take_picture(lan->sightings, id, data, len);
}

void lan_revoke_media(Lan *lan, const cJSON *tokens)
{
    media_revoke(lan->media, tokens);
}

void lan_status_changed(Lan *lan)
{
    lan_events_tell(lan->events, "status");
}

void lan_cameras_changed(Lan *lan)
{
    lan_events_tell(lan->events, "cameras");
}

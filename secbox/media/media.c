/* SPDX-License-Identifier: MIT */
/* Who may see what: a request comes with the cookie of a session, or with a token that begins one. */
#include "secbox/media/media.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/media/media-impl.h"

#define CONNECTIONS_MAX 64
#define HANDSHAKES_MAX 8
#define ROOT "/media/"
#define PING_PATH ROOT "ping"

static int check_token(const Media *m, const char *text, MediaToken *ret, Error *err)
{
    const Key *key = m->key(m->userdata);

    if (!key)
        return error_set(err, ENOTCONN, "media.no-key",
                         "this box does not know yet by which key the cloud signs: it has no data of its community");
    return media_token_open(key, text, m->device_id, realtime_usec() / USEC_PER_SEC, ret, err);
}

static void tell(const MediaToken *t)
{
    if (t->event)
        log_notice("%s sees the event %s of the camera %s", t->person, t->event, t->camera);
    else
        log_notice("%s sees the recording of the camera %s, %llu seconds from %llu on", t->person, t->camera,
                   (unsigned long long) (t->until - t->from), (unsigned long long) t->from);
}

static int begin_session(Media *m, const char *text, const MediaPath *path, MediaSession **ret, Error *err)
{
    _cleanup_(media_token_done) MediaToken token = {};
    bool is_new = false;
    int r = check_token(m, text, &token, err);

    if (r < 0)
        return r;
    const MediaSession wanted = {
        .camera = token.camera, .event = token.event, .from = token.from, .until = token.until
    };
    if (!media_session_covers(&wanted, path))
        return error_set(err, EACCES, "media.window", "the token is for another camera, another time or another event");
    r = media_session_begin(&m->sessions, &token, boottime_usec(), ret, &is_new, err);
    if (r >= 0 && is_new)
        tell(&token);
    return r;
}

/* For the folder alone in which the recording is, or for the event alone. */
static char *cookie_of(const HttpExchange *x, const MediaPath *path, const MediaSession *s)
{
    return str_format("Set-Cookie: " MEDIA_COOKIE "=%s; Path=%.*s; Max-Age=%llu; Secure; HttpOnly; SameSite=None; "
                      "Partitioned",
                      s->cookie, (int) path->folder_len, http_path(x),
                      (unsigned long long) ((s->ends - boottime_usec()) / USEC_PER_SEC));
}

static void serve(Media *m, HttpExchange *x, const MediaPath *path, bool outside)
{
    _cleanup_(secret_freep) char *token = http_query(x, "t");
    _cleanup_(freep) char *cookie = NULL;
    _cleanup_(error_done) Error err = {};
    MediaAsk ask = { .path = *path, .outside = outside };
    int r = 0;

    ask.session = media_session_find(&m->sessions, http_header(x, "Cookie"), path, boottime_usec());
    if (!ask.session && !token)
        r = error_set(&err, EACCES, "media.no-token", "a recording is for those whom the cloud has given a token");
    else if (!ask.session)
        r = begin_session(m, token, path, &ask.session, &err);
    if (r >= 0 && path->event[0]) /* a token's camera has the form of one, or it was refused */
        memcpy(ask.path.camera, ask.session->camera, strnlen(ask.session->camera, CAMERA_NAME_MAX));
    if (r >= 0 && token && !(cookie = cookie_of(x, path, ask.session)))
        r = -ENOMEM;
    ask.cookie = cookie;
    if (r >= 0 && !m->cameras)
        r = error_set(&err, ENOENT, "camera.none", "this box has no Frigate: FRIGATE_URL is not set");
    if (r >= 0 && ask.session->streams >= MEDIA_STREAMS_MAX)
        r = error_set(&err, EAGAIN, "media.busy", "%d files are on their way to this viewer already",
                      MEDIA_STREAMS_MAX);
    if (r < 0)
        media_refuse(m, x, r, &err);
    else
        media_fetch(m, x, &ask);
}

static void take(Media *m, HttpExchange *x, bool outside)
{
    const char *method = http_method(x);
    MediaPath path;

    if (str_equal(method, "OPTIONS"))
        media_answer_preflight(m, x);
    else if (!str_equal(method, "GET"))
        media_answer(m, x, 405, NULL, NULL, 0, NULL);
    else if (str_equal(http_path(x), PING_PATH))
        media_answer(m, x, 200, "application/json", m->ping, strlen(m->ping), NULL);
    else if (media_path_parse(http_path(x), &path))
        serve(m, x, &path, outside);
    else
        media_answer(m, x, 404, "text/plain", "not here\n", strlen("not here\n"), NULL);
}

bool media_take(Media *m, HttpExchange *x)
{
    bool is_ours = str_starts(http_path(x), ROOT);

    if (is_ours)
        take(m, x, false);
    return is_ours;
}

static void on_request(HttpExchange *x, void *userdata)
{
    Media *m = userdata;

    if (str_starts(http_path(x), ROOT))
        take(m, x, true);
    else
        media_answer(m, x, 404, "text/plain", "not here\n", strlen("not here\n"), NULL);
}

static char *print_ping(const char *device_id)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    return o && json_add_string(o, "deviceId", device_id) >= 0 ? json_print(o) : NULL;
}

static void take_back(Media *m, const char *token)
{
    MediaSession *s = NULL;
    _cleanup_(error_done) Error err = {};

    if (media_sessions_revoke(&m->sessions, token, &s) < 0)
        log_warning("a token for a recording that was taken back can begin something still: out of memory");
    if (!s)
        return;
    if (s->event)
        log_notice("%s sees the event %s of the camera %s no more: the cloud has taken the token back", s->person,
                   s->event, s->camera);
    else
        log_notice("%s sees the recording of the camera %s no more: the cloud has taken the token back", s->person,
                   s->camera);
    media_fetches_end_of(m, s, error_set(&err, EACCES, "media.token-revoked", "the token was taken back"), &err);
    media_session_end(s);
}

void media_revoke(Media *m, const cJSON *tokens)
{
    const cJSON *token;

    cJSON_ArrayForEach(token, tokens)
        if (cJSON_IsString(token) && jwt_id_is_valid(token->valuestring))
            take_back(m, token->valuestring);
}

int media_new(sd_event *event, const MediaOptions *o, Media **ret, Error *err)
{
    Media *m = calloc(1, sizeof(*m));

    if (!m)
        return error_from_errno(err, -ENOMEM, "cannot serve recordings");
    *m = (Media) { .event = sd_event_ref(event),
                   .cameras = o->cameras,
                   .bound = o->bound,
                   .key = o->key,
                   .userdata = o->userdata,
                   .device_id = strdup(o->device_id),
                   .origin = o->origin ? strdup(o->origin) : NULL,
                   .ping = print_ping(o->device_id) };
    if (!m->device_id || (o->origin && !m->origin) || !m->ping) {
        media_free(m);
        return error_from_errno(err, -ENOMEM, "cannot serve recordings");
    }
    *ret = m;
    return 0;
}

Media *media_free(Media *m)
{
    if (!m)
        return NULL;
    http_server_free(m->server);
    media_fetches_end(m);
    media_sessions_done(&m->sessions);
    free(m->device_id);
    free(m->origin);
    free(m->ping);
    sd_event_unref(m->event);
    free(m);
    return NULL;
}

int media_listen(Media *m, const char *address, uint16_t port, const char *cert_file, const char *key_file, Error *err)
{
    const HttpServerOptions server = {
        .address = address,
        .port = port,
        .cert_file = cert_file,
        .key_file = key_file,
        .max_connections = CONNECTIONS_MAX,
        .max_handshakes = HANDSHAKES_MAX,
        .handler = on_request,
        .userdata = m,
    };
    int r = http_server_new(m->event, &server, &m->server, err);

    return r < 0 ? error_from_errno(err, r, "cannot serve recordings") : 0;
}

bool media_listens(const Media *m)
{
    return m->server;
}

int media_renew(Media *m, const char *cert_file, const char *key_file, Error *err)
{
    return m->server ? http_server_renew(m->server, cert_file, key_file, err) : 0;
}

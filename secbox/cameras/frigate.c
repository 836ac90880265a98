/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/frigate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/cameras/face-name.h"

#define ANSWER_TIMEOUT (10 * USEC_PER_SEC)
#define CONNECT_TIMEOUT (5 * USEC_PER_SEC)
/* A stream is asked for again when it ends; this only keeps one from living for ever by accident. */
#define STREAM_TIMEOUT USEC_PER_HOUR
#define STREAM_STALL (10 * USEC_PER_SEC)
/* Of a day of video, to whom it is sent over a line as slow as they are: as long as secbox-fleet waits. */
#define RECORDING_TIMEOUT (6 * USEC_PER_HOUR)
/* ffmpeg begins what it makes before its first byte comes. The gateway waits longer for a recording, so that it hears why. */
#define MADE_STALL (45 * USEC_PER_SEC)
#define PICTURE_QUALITY 70
#define COOKIE "frigate_token="
#define JSON_TYPE "Content-Type: application/json"
#define FORM_TYPE "Content-Type: multipart/form-data; boundary=" FRIGATE_FORM_BOUNDARY
#define PLAYLIST_END ".m3u8"
#define PART_END ".mp4"
#define FRAME_END ".webp"
#define MOMENT_DIGITS_MAX 12
#define DIGITS_MAX 18
#define BEARER "Authorization: Bearer "
#define TIME_FORMAT "%llu.%06llu"
#define TIME_VALUES(usec) (unsigned long long) ((usec) / USEC_PER_SEC), (unsigned long long) ((usec) % USEC_PER_SEC)

struct Frigate {
    HttpClient *http;
    char *url, *user, *password;
    char *bearer; /* "Authorization: Bearer …"; NULL: not logged in */
};

static const char *const ends[] = { PLAYLIST_END, ".m4s", ".mp4", ".ts", ".vtt" };

bool recording_file_is_valid(const char *name)
{
    const char *end = name ? strchr(name, '.') : NULL;
    _cleanup_(freep) char *stem = end ? strndup(name, (size_t) (end - name)) : NULL;
    bool known = false;

    for (size_t i = 0; end && i < ELEMENTSOF(ends); i++)
        known = known || str_equal(end, ends[i]);
    return known && camera_name_is_valid(stem);
}

bool recording_file_is_playlist(const char *name)
{
    return str_ends(name, PLAYLIST_END);
}

/* DIGITS.DIGITS as Frigate writes a time. false: it is none. */
static bool take_moment(const char **at, double *ret)
{
    static const char digits[] = "0123456789";
    size_t whole = strspn(*at, digits), part = (*at)[whole] == '.' ? strspn(*at + whole + 1, digits) : 0;
    char text[2 * MOMENT_DIGITS_MAX + 2];
    size_t len = whole + 1 + part;

    if (whole == 0 || whole > MOMENT_DIGITS_MAX || part == 0 || part > MOMENT_DIGITS_MAX || **at == '0')
        return false;
    memcpy(text, *at, len);
    text[len] = '\0';
    *ret = strtod(text, NULL);
    *at += len;
    return true;
}

bool strip_file_parse(const char *file, PreviewTimes *ret)
{
    *ret = (PreviewTimes) {};
    if (!file || !take_moment(&file, &ret->from))
        return false;
    ret->until = ret->from;
    ret->is_part = *file == '-';
    if (ret->is_part && (file++, !take_moment(&file, &ret->until)))
        return false;
    return ret->from <= ret->until && str_equal(file, ret->is_part ? PART_END : FRAME_END);
}

bool range_is_plain(const char *range)
{
    static const char unit[] = "bytes=", digits[] = "0123456789";
    size_t from, until;

    if (!range || !str_starts(range, unit))
        return false;
    range += strlen(unit);
    from = strspn(range, digits);
    if (range[from] != '-')
        return false;
    until = strspn(range + from + 1, digits);
    return range[from + 1 + until] == '\0' && from + until > 0 && from <= DIGITS_MAX && until <= DIGITS_MAX;
}

int frigate_new(HttpClient *http, const char *url, const char *user, const char *password, Frigate **ret)
{
    _cleanup_(frigate_freep) Frigate *f = calloc(1, sizeof(*f));
    size_t len = strlen(url);

    if (!f)
        return -ENOMEM;
    f->http = http;
    f->url = strndup(url, len > 0 && url[len - 1] == '/' ? len - 1 : len);
    f->user = user ? strdup(user) : NULL;
    f->password = password ? strdup(password) : NULL;
    if (!f->url || (user && !f->user) || (password && !f->password))
        return -ENOMEM;
    if (password)
        redact_add_secret(password);
    *ret = TAKE_PTR(f);
    return 0;
}

Frigate *frigate_free(Frigate *f)
{
    if (!f)
        return NULL;
    free(f->url);
    free(f->user);
    free(f->password);
    free(f->bearer);
    free(f);
    return NULL;
}

static char *recording_url(const Frigate *f, const char *room, const FrigateRequest *get, const char *file)
{
    return str_format("%s/%s%s/start/%llu/end/%llu/%s", f->url, room, get->camera, (unsigned long long) get->from,
                      (unsigned long long) get->until, file);
}

static char *url_of(const Frigate *f, const FrigateRequest *get)
{
    switch (get->what) {
    case FRIGATE_CONFIG:
        return str_format("%s/api/config", f->url);
    case FRIGATE_STATS:
        return str_format("%s/api/stats", f->url);
    case FRIGATE_LATEST:
        return str_format("%s/api/%s/latest.jpg?height=%u&quality=%d", f->url, get->camera, get->height,
                          PICTURE_QUALITY);
    case FRIGATE_STREAM:
        return str_format("%s/api/%s?fps=%u&height=%u", f->url, get->camera, get->fps, get->height);
    case FRIGATE_VOD:
        return recording_url(f, "vod/", get, get->file);
    case FRIGATE_CLIP:
        return recording_url(f, "api/", get, "clip.mp4");
    case FRIGATE_PREVIEW:
        return recording_url(f, "api/", get, "preview.mp4");
    case FRIGATE_STRIP:
    case FRIGATE_FRAMES:
        return str_format("%s/api/preview/%s/start/%llu/end/%llu%s", f->url, get->camera,
                          (unsigned long long) get->from, (unsigned long long) get->until,
                          get->what == FRIGATE_FRAMES ? "/frames" : "");
    case FRIGATE_STRIP_PART:
        return str_format("%s/clips/previews/%s/%s", f->url, get->camera, get->file);
    case FRIGATE_STRIP_FRAME:
        return str_format("%s/api/preview/preview_%s-%s/thumbnail.webp", f->url, get->camera, get->file);
    case FRIGATE_EVENT_CLIP:
        return str_format("%s/api/events/%s/clip.mp4", f->url, get->id);
    case FRIGATE_EVENTS:
        return str_format("%s/api/events?after=" TIME_FORMAT "&before=" TIME_FORMAT "&limit=%u&include_thumbnails=0",
                          f->url, TIME_VALUES(get->after), TIME_VALUES(get->before), get->limit);
    case FRIGATE_REVIEWS:
        /* 0 and 1 would leave out what somebody has, or has not, looked at */
        return str_format("%s/api/review?after=" TIME_FORMAT "&before=" TIME_FORMAT "&limit=%u&reviewed=2", f->url,
                          TIME_VALUES(get->after), TIME_VALUES(get->before), get->limit);
    case FRIGATE_FACES:
        return str_format("%s/api/faces", f->url);
    case FRIGATE_FACE_REGISTER:
        return str_format("%s/api/faces/%s/register", f->url, get->id);
    case FRIGATE_FACE_REMOVE:
        return str_format("%s/api/faces/%s/delete", f->url, get->id);
    case FRIGATE_SNAPSHOT:
        return str_format("%s/api/events/%s/snapshot.jpg?height=%u&quality=%d", f->url, get->id, get->height,
                          PICTURE_QUALITY);
    }
    return NULL;
}

static bool is_change(const FrigateRequest *get)
{
    return get->what == FRIGATE_FACE_REGISTER || get->what == FRIGATE_FACE_REMOVE;
}

static bool file_is_valid(const FrigateRequest *get)
{
    bool part = get->what == FRIGATE_STRIP_PART;
    PreviewTimes t;

    if (!part && get->what != FRIGATE_STRIP_FRAME)
        return get->what != FRIGATE_VOD || recording_file_is_valid(get->file);
    return strip_file_parse(get->file, &t) && t.is_part == part;
}

static int check_names(const FrigateRequest *get, Error *err)
{
    if (get->what >= FRIGATE_LATEST && !camera_name_is_valid(get->camera))
        return error_set(err, ENOENT, "camera.unknown", "there is no such camera");
    if (is_change(get) && (!face_name_is_ours(get->id) || !get->body))
        return error_set(err, EINVAL, "camera.unknown", "this face is none of ours");
    if (!file_is_valid(get))
        return error_set(err, ENOENT, "camera.no-file", "a recording has no such file");
    if ((get->what == FRIGATE_SNAPSHOT || get->what == FRIGATE_EVENT_CLIP) && !frigate_id_is_valid(get->id))
        return error_set(err, ENOENT, "camera.unknown", "there is no such object");
    return 0;
}

static size_t answer_max(const FrigateRequest *get)
{
    bool picture = get->what == FRIGATE_LATEST || get->what == FRIGATE_SNAPSHOT;
    bool list = get->what == FRIGATE_VOD || get->what == FRIGATE_STRIP || get->what == FRIGATE_FRAMES;

    return picture ? CAMERA_PICTURE_MAX : list && !get->on_data ? PLAYLIST_SIZE_MAX : 0;
}

FrigateLimits frigate_limits(const FrigateRequest *get)
{
    bool recording = get->what >= FRIGATE_VOD;
    bool made = get->what == FRIGATE_CLIP || get->what == FRIGATE_PREVIEW || get->what == FRIGATE_EVENT_CLIP;

    if (!get->on_data)
        return (FrigateLimits) { .whole = ANSWER_TIMEOUT };
    return (FrigateLimits) { .whole = recording ? RECORDING_TIMEOUT : STREAM_TIMEOUT,
                             .silence = made ? MADE_STALL : STREAM_STALL };
}

int frigate_get(Frigate *f, const FrigateRequest *get, http_done_t on_done, void *userdata, HttpCall **ret, Error *err)
{
    int r = check_names(get, err);
    _cleanup_(freep) char *url = r >= 0 ? url_of(f, get) : NULL,
                          *range = r >= 0 && range_is_plain(get->range) ? str_format("Range: %s", get->range) : NULL;
    /* its cache would tell what was true five seconds ago */
    const char *headers[] = { "X-Cache-Bypass: 1", f->bearer, NULL, NULL };
    const char *more = get->what == FRIGATE_FACE_REGISTER ? FORM_TYPE : is_change(get) ? JSON_TYPE : range;
    static const char *const kept[] = { "X-Frigate-Offline", "Content-Length", "Content-Range", "Accept-Ranges", NULL };
    const FrigateLimits limits = frigate_limits(get);
    const HttpRequest request = {
        .method = is_change(get) ? "POST" : NULL,
        .url = url,
        .headers = headers,
        .body = is_change(get) ? get->body : NULL,
        .body_len = is_change(get) ? get->body_len : 0,
        .timeout_usec = limits.whole,
        .connect_timeout_usec = CONNECT_TIMEOUT,
        .stall_usec = limits.silence,
        .past_proxy = true, /* it is the container's neighbour, and podman hands the host's proxy to each container */
        .response_max = answer_max(get),
        .keep_headers = kept,
        .on_head = get->on_head,
        .on_data = get->on_data,
        .userdata = get->userdata,
    };

    headers[f->bearer ? 2 : 1] = more;
    if (r >= 0 && !url)
        r = error_from_errno(err, -ENOMEM, "cannot ask Frigate");
    return r < 0 ? r : http_start(f->http, &request, on_done, userdata, ret, err);
}

char *frigate_socket_url(const Frigate *f)
{
    /* "http" becomes "ws", "https" becomes "wss" */
    return str_format("ws%s/ws", f->url + strlen("http"));
}

const char *frigate_token(const Frigate *f)
{
    return f->bearer ? f->bearer + strlen(BEARER) : NULL;
}

bool frigate_needs_login(const Frigate *f)
{
    return f->user && !f->bearer;
}

int frigate_login(Frigate *f, http_done_t on_done, void *userdata, HttpCall **ret, Error *err)
{
    static const char *const headers[] = { JSON_TYPE, NULL }, *const kept[] = { "Set-Cookie", NULL };
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *url = str_format("%s/api/login", f->url), *body = NULL;

    if (o && json_add_string(o, "user", f->user) >= 0 && json_add_string(o, "password", f->password) >= 0)
        body = json_print(o);
    if (!url || !body)
        return error_from_errno(err, -ENOMEM, "cannot log in at Frigate");
    const HttpRequest request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = body,
        .body_len = strlen(body),
        .timeout_usec = ANSWER_TIMEOUT,
        .connect_timeout_usec = CONNECT_TIMEOUT,
        .past_proxy = true,
        .keep_headers = kept,
    };
    return http_start(f->http, &request, on_done, userdata, ret, err);
}

int frigate_take_login(Frigate *f, const HttpResponse *response, Error *err)
{
    const char *value;

    for (size_t n = 0; response->status == 200 && (value = http_response_header(response, "Set-Cookie", n)); n++) {
        if (!str_starts(value, COOKIE))
            continue;
        _cleanup_(freep) char *token = strndup(value + strlen(COOKIE), strcspn(value + strlen(COOKIE), "; "));
        char *bearer = token ? str_format(BEARER "%s", token) : NULL;
        if (!bearer)
            return error_from_errno(err, -ENOMEM, "cannot log in at Frigate");
        redact_add_secret(token);
        free(f->bearer);
        f->bearer = bearer;
        return 0;
    }
    return error_set(
        err, EACCES, "camera.frigate-login",
        "Frigate does not let secbox in (HTTP status %d): correct FRIGATE_USER and FRIGATE_PASSWORD in secbox.env",
        response->status);
}

bool frigate_forget_login(Frigate *f)
{
    bool had = f->bearer;

    free(TAKE_PTR(f->bearer));
    return had;
}

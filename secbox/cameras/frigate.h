/* SPDX-License-Identifier: MIT */
/* What secbox asks Frigate: a closed list of GET requests, a login, and the faces of the community. On Frigate's own port
 * everybody is an administrator, so nothing that somebody else has said becomes a path, but for a camera's name in the form that
 * Frigate allows, the name of a file of a recording, and that of a face in the form that is ours. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/data/camera-name.h"
#include "lib/http/client.h"

typedef struct Frigate Frigate;

/* Between the parts of a form (RFC 2046 §5.1.1); no JPEG holds it by chance. */
#define FRIGATE_FORM_BOUNDARY "secbox-7c9e4f1ab03d52e86f17c0d94a6b28e5"

typedef enum FrigateKind {
    FRIGATE_CONFIG,  /* which cameras there are */
    FRIGATE_STATS,   /* how they are */
    FRIGATE_EVENTS,  /* what it has followed, newest first */
    FRIGATE_REVIEWS, /* when something happened, newest first */
    FRIGATE_FACES,   /* whom it knows */
    /* These two change something, of a name that is ours (face-name.h): */
    FRIGATE_FACE_REGISTER,
    FRIGATE_FACE_REMOVE,
    FRIGATE_SNAPSHOT, /* the best picture of what it has followed */
    /* of one camera: */
    FRIGATE_LATEST, /* one picture of a camera */
    FRIGATE_STREAM, /* its pictures, without an end */
    /* of what was recorded from `from` to `until`: */
    FRIGATE_VOD,     /* a file of it as HLS: a playlist, or a piece */
    FRIGATE_CLIP,    /* all of it in one MP4 */
    FRIGATE_PREVIEW, /* the same, small and fast */
    FRIGATE_STRIP,   /* which previews of whole hours there are */
    FRIGATE_FRAMES,  /* which pictures there are of the hour that is not over */
    /* of what these two name: */
    FRIGATE_STRIP_PART,
    FRIGATE_STRIP_FRAME,
    /* of what it has followed: */
    FRIGATE_EVENT_CLIP, /* from its beginning to its end, in one MP4 */
} FrigateKind;

typedef struct FrigateRequest {
    FrigateKind what;
    const char *camera;   /* of those of one camera */
    unsigned height, fps; /* of its pictures of now; the height of SNAPSHOT, too */
    const char *id;       /* of SNAPSHOT and EVENT_CLIP; of FACE_REGISTER and FACE_REMOVE the face's name */
    const char *body;     /* of FACE_REGISTER a form of one file, of FACE_REMOVE JSON */
    size_t body_len;
    /* Since 1970: EVENTS are those that began in between, REVIEWS those that began before and ended after. */
    usec_t after, before;
    unsigned limit;
    uint64_t from, until; /* of recordings, seconds since 1970 */
    const char *file;     /* of VOD: recording_file_is_valid(); of STRIP_PART and STRIP_FRAME: strip_file_parse() */
    const char *range;    /* of recordings: range_is_plain(), or NULL */
    /* Of what has no end, or a long one, as in HttpRequest; the first may be NULL. */
    int (*on_head)(const HttpResponse *head, void *userdata);
    int (*on_data)(const char *data, size_t len, void *userdata);
    void *userdata;
} FrigateRequest;

/* `url` is http(s)://HOST[:PORT], without a path; user and password may be NULL. */
int frigate_new(HttpClient *http, const char *url, const char *user, const char *password, Frigate **ret) _must_check_;
Frigate *frigate_free(Frigate *f);
DEFINE_CLEANUP(Frigate, frigate_free)

/* As a camera's name, and behind it an end of those that the files of HLS have. */
bool recording_file_is_valid(const char *name);
bool recording_file_is_playlist(const char *name);
/* When the first and the last picture were taken, seconds since 1970. */
typedef struct PreviewTimes {
    bool is_part; /* else a picture: both are the same */
    double from, until;
} PreviewTimes;

/* "FROM-UNTIL.mp4", a preview of an hour or less, or "AT.webp", one picture; times have fractions, as in 1700000000.25. */
bool strip_file_parse(const char *file, PreviewTimes *ret);
/* "bytes=0-99", "bytes=100-", "bytes=-5": one range, and nothing else that a Range header may say. */
bool range_is_plain(const char *range);

/* How long all of an answer may take, and how long nothing may come of it (0: as long). */
typedef struct FrigateLimits {
    usec_t whole, silence;
} FrigateLimits;

FrigateLimits frigate_limits(const FrigateRequest *get);

/* Starts one. Errors: those of http_start(), camera.unknown for a name or an id that cannot be one, camera.no-file for a
 * file that a recording cannot have. */
int frigate_get(Frigate *f, const FrigateRequest *get, http_done_t on_done, void *userdata, HttpCall **ret,
                Error *err) _must_check_;

/* Where it tells what it sees while it sees it (a WebSocket), and by which token; NULL: without one. The URL is a new string, NULL
 * when out of memory. */
char *frigate_socket_url(const Frigate *f);
const char *frigate_token(const Frigate *f);

/* Whether a login has to come first: there is a user, and no token. */
bool frigate_needs_login(const Frigate *f);
int frigate_login(Frigate *f, http_done_t on_done, void *userdata, HttpCall **ret, Error *err) _must_check_;
/* Takes the token out of the answer to that. camera.frigate-login: it holds none. */
int frigate_take_login(Frigate *f, const HttpResponse *response, Error *err) _must_check_;
/* The token was refused; false: there was none. */
bool frigate_forget_login(Frigate *f);

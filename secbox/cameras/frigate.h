/* SPDX-License-Identifier: MIT */
/* What secbox asks Frigate: a closed list of GET requests, and a login. On Frigate's own port everybody is an administrator, so
 * nothing that somebody else has said becomes a path, but for a camera's name in the form that Frigate allows. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/http/client.h"

#define CAMERA_NAME_MAX 64

typedef struct Frigate Frigate;

typedef enum FrigateKind {
    FRIGATE_CONFIG, /* which cameras there are */
    FRIGATE_STATS,  /* how they are */
    FRIGATE_LATEST, /* one picture of a camera */
    FRIGATE_STREAM, /* its pictures, without an end */
} FrigateKind;

typedef struct FrigateRequest {
    FrigateKind what;
    const char *camera; /* of the last two, as are these */
    unsigned height, fps;
    int (*on_data)(const char *data, size_t len, void *userdata); /* of a stream, as in HttpRequest */
    void *userdata;
} FrigateRequest;

/* `url` is http(s)://HOST[:PORT], without a path; user and password may be NULL. */
int frigate_new(HttpClient *http, const char *url, const char *user, const char *password, Frigate **ret) _must_check_;
Frigate *frigate_free(Frigate *f);
DEFINE_CLEANUP(Frigate, frigate_free)

/* Letters, digits, '_' and '-'. */
bool camera_name_is_valid(const char *name);

/* Starts one. Errors: those of http_start(), camera.unknown for a name that cannot be one. */
int frigate_get(Frigate *f, const FrigateRequest *get, http_done_t on_done, void *userdata, HttpCall **ret,
                Error *err) _must_check_;

/* Whether a login has to come first: there is a user, and no token. */
bool frigate_needs_login(const Frigate *f);
int frigate_login(Frigate *f, http_done_t on_done, void *userdata, HttpCall **ret, Error *err) _must_check_;
/* Takes the token out of the answer to that. camera.frigate-login: it holds none. */
int frigate_take_login(Frigate *f, const HttpResponse *response, Error *err) _must_check_;
/* The token was refused; false: there was none. */
bool frigate_forget_login(Frigate *f);

/* SPDX-License-Identifier: MIT */
/* The cameras of a box, as its Frigate has them: which there are, how they and Frigate are, and pictures of them for those who
 * look. However many look at a camera, Frigate is asked once for each size and rate. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/http/mjpeg-viewer.h"
#include "secbox/cameras/frigate.h"

typedef struct Cameras Cameras;
typedef struct CameraView CameraView; /* somebody who looks */

typedef enum FrigateState {
    FRIGATE_UNKNOWN, /* it was not asked yet */
    FRIGATE_UP,
    FRIGATE_AWAY,    /* nothing answers there */
    FRIGATE_SLOW,    /* it takes requests, and does not answer in time */
    FRIGATE_REFUSES, /* it does not take our login */
    FRIGATE_STRANGE, /* what answers there is no Frigate, or not well */
} FrigateState;

typedef struct CamerasOptions {
    const char *url;             /* of Frigate */
    const char *user, *password; /* NULL: none */
    /* Frigate or a camera is in another state; may be NULL. */
    void (*on_change)(void *userdata);
    void *userdata;
    usec_t interval; /* between looks at Frigate; 0: the usual */
} CamerasOptions;

int cameras_new(sd_event *event, const CamerasOptions *options, Cameras **ret, Error *err) _must_check_;
/* Views end without a word. NULL-safe. */
Cameras *cameras_free(Cameras *c);
DEFINE_CLEANUP(Cameras, cameras_free)

FrigateState cameras_frigate(const Cameras *c);
/* For others who ask it; what went wrong with their asking is told here. Borrowed. */
Frigate *cameras_client(const Cameras *c);
void cameras_trouble(Cameras *c, int http_status);
/* Whether Frigate does not say what it sees, though it answers. */
void cameras_set_unheard(Cameras *c, bool unheard);
/* {"frigate": STATE, "why"?, "restarts", "unheard"?, "cameras": [{"name", "state": online|offline|off}]}; NULL: out of memory. */
cJSON *cameras_describe(const Cameras *c);
/* What Frigate gives for such a camera is a picture from before it went away. */
bool cameras_is_offline(const Cameras *c, const char *camera);

typedef struct CameraRequest {
    const char *camera;
    unsigned height; /* of the picture; 0: the usual. What is given is one of a few */
    unsigned fps;    /* 0: one picture and no more */
} CameraRequest;

typedef struct CameraViewEvents {
    /* Not from inside camera_view_open(). */
    void (*on_picture)(CameraView *v, Picture *p, void *userdata);
    /* Once, last; the view is freed afterwards. err NULL: that was the one picture. */
    void (*on_end)(CameraView *v, int r, const Error *err, void *userdata);
} CameraViewEvents;

/* A stream outlives Frigate's restarts: pictures come again when it is back. Errors: camera.unknown, camera.busy, camera.off, and
 * camera.frigate when Frigate is not there. */
int camera_view_open(Cameras *c, const CameraRequest *want, const CameraViewEvents *events, void *userdata,
                     CameraView **ret, Error *err) _must_check_;
/* NULL-safe; allowed in every callback. on_end is not called. */
CameraView *camera_view_free(CameraView *v);

/* Asks Frigate for what was recorded. The answer's status is for the caller to judge, and to be told by cameras_tell_status().
 * Errors: camera.unknown, camera.frigate, those of frigate_get(). */
int cameras_get_recording(Cameras *c, const FrigateRequest *get, http_done_t on_done, void *userdata, HttpCall **ret,
                          Error *err) _must_check_;
/* What became of such a request; 0: no answer. */
void cameras_tell_status(Cameras *c, int status);

/* SPDX-License-Identifier: MIT */
/* Which cameras Frigate has, by its /api/config, and how they are, by its /api/stats. Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define CAMERAS_MAX 64

typedef struct Camera {
    char *name;
    bool off;     /* by Frigate's configuration */
    bool offline; /* it gives no pictures */
} Camera;

typedef struct CameraList {
    Camera cameras[CAMERAS_MAX];
    size_t n;
    uint64_t uptime;   /* of Frigate, seconds */
    unsigned restarts; /* that we have noticed */
} CameraList;

void camera_list_done(CameraList *l);

/* 1: something is another than before, 0: nothing. camera.frigate-answer: it is not what Frigate says; nothing changes then. */
int camera_list_take_config(CameraList *l, const char *text, size_t len, Error *err) _must_check_;
int camera_list_take_stats(CameraList *l, const char *text, size_t len, Error *err) _must_check_;
/* Whether that is news. */
bool camera_list_set_offline(CameraList *l, const char *name);
bool camera_list_is_offline(const CameraList *l, const char *name);

/* camera.unknown, camera.off. */
int camera_list_check(const CameraList *l, const char *name, Error *err) _must_check_;
/* NULL: out of memory. */
cJSON *camera_list_describe(const CameraList *l);

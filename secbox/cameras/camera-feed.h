/* SPDX-License-Identifier: MIT */
/* One stream, or one picture under way, from Frigate, for all who look at that camera in that size at that rate. */
#pragma once

#include "secbox/cameras/cameras.h"
#include "secbox/cameras/frigate.h"

/* Six streams of the tunnel, eight pictures that guards look at, and those of entries. */
#define CAMERA_FEEDS_MAX 16
#define CAMERA_VIEWS_MAX 64

typedef struct CameraFeed CameraFeed;

typedef struct CameraFeeds {
    sd_event *event;
    Frigate *frigate;
    CameraFeed *first;
    size_t n, views;
    /* How a request of theirs ended other than well: r and err as of http_done_t, or a status. */
    void (*on_trouble)(int r, int status, const Error *err, void *userdata);
    /* A camera's single picture was one from before it went away. */
    void (*on_offline)(const char *camera, void *userdata);
    void *userdata;
} CameraFeeds;

/* Joins the feed that there is, or begins one. camera.busy. */
int camera_feeds_join(CameraFeeds *fs, const CameraRequest *want, const CameraViewEvents *events, void *userdata,
                      CameraView **ret, Error *err) _must_check_;
void camera_feeds_done(CameraFeeds *fs);

/* SPDX-License-Identifier: MIT */
/* A file that shows that the loop is turning: it holds CLOCK_BOOTTIME in microseconds. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define HEARTBEAT_INTERVAL (2 * USEC_PER_SEC)
#define HEARTBEAT_STALE (45 * USEC_PER_SEC)

typedef struct Heartbeat Heartbeat;

/* Makes the folder, writes at once and then every HEARTBEAT_INTERVAL. */
int heartbeat_start(sd_event *event, const char *path, Heartbeat **ret, Error *err) _must_check_;
/* From now on only while `healthy` returns non-zero. */
void heartbeat_depend(Heartbeat *h, int (*healthy)(void *userdata), void *userdata);
Heartbeat *heartbeat_free(Heartbeat *h);
DEFINE_CLEANUP(Heartbeat, heartbeat_free)

/* 0 when fresh at `now`. Errors: heartbeat.missing, heartbeat.stale, those of file_read(). */
int heartbeat_check(const char *path, usec_t now, Error *err) _must_check_;

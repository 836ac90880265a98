/* SPDX-License-Identifier: MIT */
/* Pictures of what Frigate has seen, for guards. There is none in the first moment: it is asked for again. */
#pragma once

#include <systemd/sd-event.h>

#include "secbox/cameras/frigate.h"

#define SNAPSHOTS_MAX 8 /* asked for at a time */
#define SNAPSHOT_HEIGHT 480

typedef struct Snapshots Snapshots;

/* A JPEG. Not called where there is none. */
typedef void (*snapshot_taken_t)(const char *id, const void *data, size_t len, void *userdata);

Snapshots *snapshots_new(sd_event *event, Frigate *frigate, snapshot_taken_t on_taken, void *userdata);
Snapshots *snapshots_free(Snapshots *s);
DEFINE_CLEANUP(Snapshots, snapshots_free)

/* Of what has this id; where too many are asked for already, nothing happens. */
void snapshots_ask(Snapshots *s, const char *id);

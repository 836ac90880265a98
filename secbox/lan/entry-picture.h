/* SPDX-License-Identifier: MIT */
/* The moment of an entry: one picture of the camera at the gate, kept among the photos, where it goes the way of those. An entry
 * waits for it only so long that nobody at the gate notices, and is written without it then. */
#pragma once

#include <systemd/sd-event.h>

#include "secbox/cameras/cameras.h"
#include "secbox/photos/photo-store.h"

#define ENTRY_PICTURE_WAIT (1500 * USEC_PER_MSEC)
#define ENTRY_PICTURE_HEIGHT 720

typedef struct EntryPicture EntryPicture;

typedef struct EntryPictureParts {
    sd_event *event;
    Cameras *cameras; /* borrowed, as all of these */
    PhotoStore *photos;
    const char *camera;    /* by its name in Frigate */
    const char *community; /* whose entry it is */
} EntryPictureParts;

/* Once, never from inside entry_picture_take(); the EntryPicture is freed before. digest: of the photo, which is on disk; NULL:
 * there is none, and the log says why. */
typedef void (*entry_picture_done_t)(const char *digest, void *userdata);

/* Errors: those of camera_view_open(); photo.no-room: as much of the photos' room as such may take is taken. on_done is not
 * called then. */
int entry_picture_take(const EntryPictureParts *parts, entry_picture_done_t on_done, void *userdata, EntryPicture **ret,
                       Error *err) _must_check_;
/* NULL-safe; on_done is not called. */
EntryPicture *entry_picture_free(EntryPicture *f);

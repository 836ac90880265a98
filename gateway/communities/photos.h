/* SPDX-License-Identifier: MIT */
/* Photos that boxes send after the events that name them: taken in parts, checked by their digest, kept as files until their events
 * are gone or old. */
#pragma once

#include <stddef.h>

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"
#include "lib/data/digest.h"

#define PHOTO_BYTES_MAX ((size_t) 300 * 1024)
#define PHOTO_DAYS_DEFAULT 30
#define PHOTO_DAYS_MAX 3650

typedef struct Photos Photos;

typedef struct PhotosOptions {
    const char *folder; /* made when there is something to keep in it */
    unsigned days;      /* after its event */
} PhotosOptions;

/* What is given is borrowed, but for the options. */
int photos_new(sd_event *event, Store *store, DeviceConns *conns, const PhotosOptions *options, Photos **ret,
               Error *err) _must_check_;
Photos *photos_free(Photos *p);
DEFINE_CLEANUP(Photos, photos_free)
/* Removes what is old, and forgets photos that have stopped to come. Now and then. */
void photos_sweep(Photos *p);

/* 64 lower-case hexadecimal digits. */
bool photo_name_is_valid(const char *sha256);

extern const Route photo_routes[]; /* of a Photos */

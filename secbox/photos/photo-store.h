/* SPDX-License-Identifier: MIT */
/* Photos of entries, as files of the box's state: each by the SHA-256 of its content and by its community, until the gateway has
 * it, and longer while there is room, so that guards can look at it. What the gateway has goes first, oldest first; what it has
 * not never goes: when all of the room is taken by such, nothing more is taken, and the tablet keeps it. But photos of a community
 * to which the box does not belong any more cannot be sent: they go after PHOTO_KEPT, and before that where room is needed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/uuid.h"
#include "lib/data/digest.h"

#define PHOTO_SIZE_MAX ((size_t) 300 * 1024)
#define PHOTOS_SIZE_MAX ((size_t) 256 * 1024 * 1024)
#define PHOTOS_MAX 8192
/* How long one is kept that the gateway has, or will not get. */
#define PHOTO_KEPT (30 * USEC_PER_DAY)

typedef struct PhotoStore PhotoStore;

typedef struct Photo {
    char community[UUID_SIZE], digest[SHA256_HEX_SIZE];
    bool sent;
    size_t size;
    usec_t at;         /* since 1970: when it came */
    usec_t not_before; /* of the clock that runs while the machine sleeps: when it may be offered again */
    unsigned times_unknown, times_damaged; /* refusals since the start that are not taken for ever */
} Photo;

/* Whether it can be a digest: 64 lower-case hexadecimal digits. NULL is none. */
bool photo_digest_is_valid(const char *text);

/* Takes what is in the folder; what is no photo is removed. None yet, or one that cannot be read, is an empty store: only no
 * memory fails. */
int photo_store_open(const char *dir, size_t size_max, PhotoStore **ret, Error *err) _must_check_;
PhotoStore *photo_store_free(PhotoStore *s);
DEFINE_CLEANUP(PhotoStore, photo_store_free)

/* Makes the folder. On disk when it returns; one that is there already stays as it is. Errors: photo.not-jpeg (-EINVAL),
 * photo.too-large (-EMSGSIZE), photo.no-room (-ENOSPC), file.write. */
int photo_store_put(PhotoStore *s, const char *community, const void *data, size_t len, usec_t now,
                    char ret_digest[static SHA256_HEX_SIZE], Error *err) _must_check_;
/* A new copy of its content; a file that is damaged is removed. -ENOENT; file.*. */
int photo_store_read(PhotoStore *s, const char *community, const char *digest, char **ret, size_t *ret_len,
                     Error *err) _must_check_;
/* The oldest of this community that the gateway has not and that may be offered at `boot`; NULL: none. Valid until the next call
 * that changes the store. */
Photo *photo_store_next(PhotoStore *s, const char *community, usec_t boot);
/* These two take NULL where there is none such. */
Photo *photo_store_find(PhotoStore *s, const char *community, const char *digest);
void photo_store_set_sent(PhotoStore *s, Photo *p);
void photo_store_drop(PhotoStore *s, Photo *p);
/* Removes what is older than PHOTO_KEPT: what the gateway has, and what waits for a community that is not this one. NULL: whose
 * the box is is not known, and all that waits stays. */
void photo_store_expire(PhotoStore *s, const char *community, usec_t now);

/* What waits for the gateway takes less than half of the room: there is some for pictures that nobody took by hand. */
bool photo_store_has_room_to_spare(const PhotoStore *s);
size_t photo_store_waiting(const PhotoStore *s); /* how many the gateway has not */
size_t photo_store_count(const PhotoStore *s);

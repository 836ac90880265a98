/* SPDX-License-Identifier: MIT */
/* updates-failed.json: images that a service has tried and that were taken back, so that it does not try them again. Another
 * service of the same image may. */
#pragma once

#include "lib/data/json-fields.h"

#define FAILED_MAX 32
#define FAILED_LOG_MAX 4096
/* How often a failure that may have been the network's is tried again. */
#define FAILED_UNCONFIRMED_MAX 3

typedef struct FailedImage {
    char *service, *image;
    char *digest; /* NULL, of what no registry gave */
    char *image_id;
    usec_t at;
    cJSON *error; /* {"id", "message"} */
    char *log;
    unsigned times;
    cJSON *rest;
} FailedImage;

typedef struct FailedImages {
    FailedImage *items; /* newest first */
    size_t n_items;
    cJSON *rest;
} FailedImages;

/* A file that is missing or cannot be read counts as empty: losing it costs one more try of an image that is proved before it is
 * kept. */
void failed_load(FailedImages *ret);
void failed_done(FailedImages *f);
/* Puts a copy in front and takes an older one of the same service and image away, whose times it adds to. Durable when it
 * returns. */
int failed_add(const FailedImage *image, Error *err) _must_check_;
/* Why this service is not to try this image, or NULL. Digest or id may be NULL. An image that the cloud merely did not confirm may
 * be tried FAILED_UNCONFIRMED_MAX times. */
const FailedImage *failed_find(const FailedImages *failed, const char *service, const char *digest,
                               const char *image_id);
/* Takes out what has this digest or image id, or everything with "all". -ENOENT (update.unknown-digest) when there is none. */
int failed_forget(const char *what, Error *err) _must_check_;
/* As in updates.report; NULL when out of memory. */
cJSON *failed_to_json(const FailedImages *failed);

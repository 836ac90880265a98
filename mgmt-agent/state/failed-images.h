/* SPDX-License-Identifier: MIT */
/* Images that were tried and taken back, so that they are not tried again: updates-failed.json, newest first. An entry is
 * {"service", "image", "digest" (or none, of what no registry gave), "imageId", "at", "error": {"id", "message"}, "log",
 * "times"}. */
#pragma once

#include "lib/data/json.h"

#define FAILED_MAX 32
#define FAILED_LOG_MAX 4096
/* How often a failure that may have been the network's is tried again. */
#define FAILED_UNCONFIRMED_MAX 3

/* *ret is {"failed": […]}; a file that is missing or cannot be read counts as empty. */
int failed_load(cJSON **ret, Error *err) _must_check_;
/* Puts one entry in front and takes an older one of the same image away, whose times it adds to. Durable when it returns. */
int failed_add(cJSON *entry, Error *err) _must_check_;
/* Why this image is not to be tried, or NULL. Either may be NULL. An image that the cloud merely did not confirm may be tried
 * FAILED_UNCONFIRMED_MAX times. */
const cJSON *failed_find(const cJSON *failed, const char *digest, const char *image_id);
/* Takes out what has this digest or image id, or everything with "all". -ENOENT (update.unknown-digest) when there is none. */
int failed_forget(const char *what, Error *err) _must_check_;

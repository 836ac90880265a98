/* SPDX-License-Identifier: MIT */
/* What podman's answers mean. Pure: text or JSON in, facts out. */
#pragma once

#include <stdbool.h>

#include "compose/plan/plan.h"
#include "lib/data/image-manifest.h"
#include "lib/data/json.h"

/* The container list; `service` is set only for those of `project`. *ret is an array of n (observed_free_all()).
 * podman.refused when it is no list of containers. */
int podman_answer_containers(const cJSON *list, const char *project, ObservedContainer **ret, size_t *ret_n,
                             Error *err) _must_check_;
void observed_free_all(ObservedContainer *o, size_t n);

/* What an image's inspection says of its digests (local_image_done()); podman.refused when it is none. */
int podman_answer_image(const cJSON *info, LocalImage *ret, Error *err) _must_check_;

/* The end of a pull: the image's id, or pull.failed with podman's sentence, redacted. `body` ends with NUL behind len. */
int podman_answer_pull(const char *body, size_t len, const char *reference, char **ret, Error *err) _must_check_;

/* The text of a log of both streams, cut at PROCESS_OUTPUT_MAX; a new string. */
char *podman_answer_log(const char *body, size_t len);

/* What podman's store holds, as "imagesMiB", "writableMiB" (what containers have written beside volumes) and "volumesMiB";
 * podman.refused when it is no such answer. */
int podman_answer_store(const cJSON *usage, cJSON **ret, Error *err) _must_check_;

typedef struct StopRequest {
    const char *id;
    unsigned grace_seconds;
} StopRequest;

/* Whether the stop of a container has begun and nobody ends it, as when the podman that did was killed. It can be started only
 * after another stop, in *ret, with the time that the container is promised. *ret is good as long as info. */
bool podman_answer_stopping(const cJSON *info, StopRequest *ret);

/* SPDX-License-Identifier: MIT */
/* What a container's labels ask of its updates. The names are watchtower's (com.centurylinklabs.watchtower.…) and podman's
 * (io.containers.autoupdate); pure. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

#define WATCH_LABEL "com.centurylinklabs.watchtower."
#define AUTOUPDATE_LABEL "io.containers.autoupdate"

/* Of commands that run in a service's container: around a check for news, and around its replacement. */
typedef enum WatchHook {
    HOOK_PRE_CHECK,
    HOOK_PRE_UPDATE, /* in the old container; exit status 75 says "not now", any other failure skips the service, too */
    HOOK_POST_UPDATE, /* in the new one; a failure undoes the update */
    HOOK_POST_CHECK,
    _HOOK_MAX,
} WatchHook;
const char *watch_hook_to_string(WatchHook h); /* "pre-check" */

#define HOOK_TIMEOUT_DEFAULT_USEC USEC_PER_MINUTE
#define HOOK_TIMEOUT_MAX_USEC USEC_PER_HOUR

typedef struct WatchLabels {
    bool enabled;      /* `enable` is true, or podman's label names a policy: watched also where only such are */
    bool disabled;     /* `enable` is false, or podman's label says "disabled" */
    bool monitor_only; /* news are told and not taken */
    bool local;        /* `no-pull`, or podman's "local": what the image's name means on this box counts, no registry */
    char *scope;       /* NULL when there is none */
    char **depends_on; /* names of services */
    char *hooks[_HOOK_MAX]; /* lines for a shell; NULL when there is none */
    usec_t hook_timeout[_HOOK_MAX];
    char *problem; /* a label with a value that means nothing, as a sentence; such a service is not updated */
} WatchLabels;

/* `labels` is an object of strings, or NULL. -ENOMEM is the only failure. */
int watch_labels_read(const cJSON *labels, WatchLabels *ret) _must_check_;
void watch_labels_done(WatchLabels *l);

/* The members of `labels` that watch_labels_read() knows, of bounded size: what is kept of an inspected container. A new
 * object, NULL when out of memory. */
cJSON *watch_labels_select(const cJSON *labels);

/* SPDX-License-Identifier: MIT */
/* Files that a program was configured by, and those that they name: whether they are other ones now. A change is one of content,
 * owner or mode, the file's appearance, or its end; and whether we may read it. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct ConfigWatch ConfigWatch;
/* Runs from the loop, once a change is over: nothing has moved for a moment. May call config_watch_set(), not free the watch. */
typedef void (*config_changed_t)(void *userdata);

/* Watches nothing yet. */
int config_watch_new(sd_event *event, config_changed_t on_change, void *userdata, ConfigWatch **ret,
                     Error *err) _must_check_;
/* From now on these (absolute paths; ends with NULL; copied). A file that was watched already is compared with how it was then, so
 * whoever names a file before reading it misses no change. */
int config_watch_set(ConfigWatch *w, const char *const *paths) _must_check_;
/* NULL-safe. */
ConfigWatch *config_watch_free(ConfigWatch *w);
DEFINE_CLEANUP(ConfigWatch, config_watch_free)

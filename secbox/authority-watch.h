/* SPDX-License-Identifier: MIT */
/* The file of CLOUD_CA_FILE, while secbox runs: a change is tried at once, on a connection of its own that says nothing, so that a
 * wrong one is told while the tunnel is still up, and not found out by the next connection. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "secbox/secbox-config.h"

typedef struct AuthorityWatch AuthorityWatch;

/* What is wrong with the file now; NULL: the next connections go by it. */
typedef void (*authority_told_t)(const Error *err, int r, void *userdata);

/* `config` is borrowed. Without a CLOUD_CA_FILE there is nothing to watch: then *ret is NULL. */
int authority_watch_new(sd_event *event, const Config *config, authority_told_t told, void *userdata,
                        AuthorityWatch **ret, Error *err) _must_check_;
AuthorityWatch *authority_watch_free(AuthorityWatch *w);
DEFINE_CLEANUP(AuthorityWatch, authority_watch_free)

/* SPDX-License-Identifier: MIT */
/* Whose word an HTTP answer is. Between a box and its gateway there are proxies, firewalls and captive portals that answer in the
 * gateway's place: only what is said in the gateway's own form may change what a box believes, or keep it away for long. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

/* A stranger is asked again after this at most, whatever it says. */
#define STRANGER_DELAY_MAX USEC_PER_MINUTE
/* bytes of a refusal that are read */
#define REFUSAL_MAX 8192

/* Whether a body is a refusal in the gateway's form, an object "error" with an id and a message; then *err (empty) is that. */
bool refusal_is_own(const cJSON *body, Error *err);
/* Sets *err, if it is empty: that somebody else than `host` answers, and what that may be. `server` and `location` are the
 * headers of these names, or NULL. Returns -EACCES. */
int refusal_of_stranger(const char *host, int status, const char *server, const char *location, Error *err);

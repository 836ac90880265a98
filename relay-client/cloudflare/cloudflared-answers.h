/* SPDX-License-Identifier: MIT */
/* What cloudflared says of itself on its metrics port, and what a token of its has to look like. Pure. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

/* Of /ready: how many connections with Cloudflare it has; negative: that is no such answer. */
int cloudflared_ready_connections(int status, const char *body, size_t len);
/* Of /config: https://NAME of the first public host name; a new string, or NULL. */
char *cloudflared_public_url(const char *body, size_t len);
/* Base64 of a JSON object with "a", "t" and "s". Errors: relay.bad-token. */
int cloudflared_check_token(const char *token, Error *err) _must_check_;

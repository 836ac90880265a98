/* SPDX-License-Identifier: MIT */
/* The tokens for recordings that are out, by their ids: what is needed to take one back. The tokens themselves are nowhere. */
#pragma once

#include <stdint.h>

#include "lib/postgres/statement.h"

typedef struct NewMediaToken {
    const char *id, *device;
    const char *actor, *operator_hash; /* who gave it, and the hash of the token that she showed */
    const char *detail;                /* for the audit log, a JSON object */
    uint64_t seconds;                  /* after which nothing that it has begun goes on */
} NewMediaToken;

extern const char schema_media_tokens[];

/* Notes it, and writes the audit log. No rows. */
Statement sql_media_token_add(const NewMediaToken *t);
/* Takes back one of a device, or all of them (id NULL). 0 {"revoked": how many}. */
Statement sql_media_tokens_revoke(const char *device, const char *id, const char *actor);
/* Takes back those whose operator's token is not good any more, and forgets what is over. Then all that were taken back and might
 * go on somewhere: 0 device, 1 id, in this order. */
Statement sql_media_tokens_revoked(void);

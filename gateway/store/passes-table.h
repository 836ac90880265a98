/* SPDX-License-Identifier: MIT */
/* The key with which a community's passes are signed. Its public half is the member passKey of the community's row, which boxes
 * get as they get everything else of it; the private half is asked for by the one who signs, and by nobody else. */
#pragma once

#include "lib/postgres/statement.h"

/* No row: no such guest. 0 the guest's from, 1 until, 2 the key as PEM (secret), 3 whether the community's row names it. */
Statement sql_pass_guest(const char *community, const char *guest);
/* Keeps this key, unless the community has one, and names the one that it has in the community's row: 0 the key as PEM (secret),
 * 1 epoch, 2 version of the community. No row: no such community. */
Statement sql_pass_key_keep(const char *community, const char *pem, const char *jwk, const char *actor);
/* Of the community that this device serves: 0 its id or NULL, 1 the key as PEM (secret) or NULL, 2 whether the community's row
 * names it, 3 whether the device is blocked. No row: no such device. */
Statement sql_recording_key(const char *device);
Statement sql_pass_issued(const char *actor, const char *detail);

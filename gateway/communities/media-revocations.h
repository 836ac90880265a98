/* SPDX-License-Identifier: MIT */
/* Tokens for recordings that were taken back, by an operator or with her own token: what they have begun on a box ends. Boxes that
 * are connected are told of all of theirs, once on each connection and when there are others. */
#pragma once

#include "gateway/auth/device-registry.h"
#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"

typedef struct MediaRevocations MediaRevocations;

/* NULL when out of memory; what is given is borrowed. */
MediaRevocations *media_revocations_new(Store *store, const DeviceConns *conns, const DeviceRegistry *registry);
/* After the requests were freed. NULL-safe. */
MediaRevocations *media_revocations_free(MediaRevocations *m);
/* Asks the database, and tells boxes. Now and then. */
void media_revocations_sweep(MediaRevocations *m);

extern const Route media_revocation_routes[]; /* of a MediaRevocations */

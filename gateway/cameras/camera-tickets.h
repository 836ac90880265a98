/* SPDX-License-Identifier: MIT */
/* View tickets: an <img> sends no Authorization header, so its address has a ticket in it, which stands for the operator's token
 * where one camera of one box is looked at, and soon. In memory alone, by their hashes. `now` is a parameter, of a clock that does
 * not run backwards. */
#pragma once

#include <stdbool.h>

#include "gateway/auth/secrets.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define CAMERA_TICKET_PREFIX "sbv_"
#define CAMERA_TICKET_SECONDS 60

typedef struct CameraTickets CameraTickets;

/* NULL when out of memory. */
CameraTickets *camera_tickets_new(void);
/* NULL-safe. */
CameraTickets *camera_tickets_free(CameraTickets *t);
DEFINE_CLEANUP(CameraTickets, camera_tickets_free)

/* A new one, which is secret: for whoever has the token with this hash. camera.tickets: too many are good still. */
int camera_tickets_issue(CameraTickets *t, const char *device, const char *camera, const char *token_hash, usec_t now,
                         char **ret, Error *err) _must_check_;
/* The hash of the token that it stands for. With `once` it is good no more. camera.ticket (-EKEYREJECTED): it is none of these, is
 * for another camera, was used, or its time is over. */
int camera_tickets_take(CameraTickets *t, const char *text, const char *device, const char *camera, bool once,
                        usec_t now, char ret[static SECRET_HASH_SIZE], Error *err) _must_check_;

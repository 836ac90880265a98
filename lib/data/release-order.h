/* SPDX-License-Identifier: MIT */
/* A release that the cloud has ordered (release.update): written by mgmt-agent, which has looked at who signed it, and read by
 * `secboxctl release order`, which brings it. What became of it is in the record of release-record.h, under the same id, or, where
 * nothing was begun, in a refusal. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/json.h"

typedef struct ReleaseOrder {
    char *id;
    char *number;      /* of the cloud's order */
    char *to, *sha256; /* the version; of the archive, which mgmt-link has fetched */
    char *who;         /* has signed it; NULL: nobody had to */
    unsigned seconds;  /* in which it has to prove itself */
    bool told;         /* the cloud's result is stored */
    usec_t at;
    cJSON *rest;
} ReleaseOrder;

/* Without a file its id is NULL. release.damaged */
int release_order_load(ReleaseOrder *ret, Error *err) _must_check_;
/* Durable when it returns. */
int release_order_save(const ReleaseOrder *o, Error *err) _must_check_;
void release_order_done(ReleaseOrder *o);

typedef struct ReleaseRefusal {
    char *id;           /* of the order */
    char *error, *text; /* an error's id and its sentence */
} ReleaseRefusal;

/* Without a file its id is NULL. release.damaged */
int release_refusal_load(ReleaseRefusal *ret, Error *err) _must_check_;
int release_refusal_save(const char *id, const Error *why, int r, Error *err) _must_check_;
void release_refusal_done(ReleaseRefusal *f);

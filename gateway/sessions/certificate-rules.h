/* SPDX-License-Identifier: MIT */
/* What may be in a certificate for support staff: for how long, and from where. Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

/* A connection fetches its certificate as it begins, and may use one for the next that begins soon. */
#define CERTIFICATE_SECONDS 300
#define CERTIFICATE_KEEP_SECONDS 120

/* How a box's clock goes, as the box has told it. */
typedef struct BoxClock {
    double offset; /* seconds by which it is ahead */
    usec_t age;    /* how long ago that was told; USEC_INFINITY: never */
} BoxClock;

typedef struct CertificateValidity {
    uint64_t after, before; /* seconds since 1970, by the box's clock */
    bool once;              /* for logins that begin now */
} CertificateValidity;

/* Whether it is for logins that begin now, by the box's clock as it has told it, and by ours, since what was told may have been
 * on its way for long: whoever has got hold of a certificate comes too late with it soon. It begins in 1970 all the same, since
 * that is where a box stands whose battery is empty, and nobody may be locked out by that. Of a box whose clock nobody knows, or
 * that is behind and may be set at any time, the grant bounds it, which the gateway watches over. A box that is ahead of the
 * grant's end would take that for expired: what it gets is good there again when the right time gets that far, and nowhere
 * else. */
CertificateValidity certificate_validity(const BoxClock *clock, uint64_t grant_ends_at, usec_t now);

/* From where sshd is reached by the ways that are named: agents connect to it on the box itself. By the device way, which "auto"
 * (and NULL) may come to, it is reached from a container, or from an address of the box, and nobody knows which: NULL.
 * "bridge.way" for what is no way in. */
int certificate_source(const char *way, const char **ret, Error *err) _must_check_;

/* {"offset", "ageUsec"} of a question to the signer; an offset that is no number of seconds counts as never told. */
BoxClock box_clock_read(const cJSON *question);
int box_clock_add(const BoxClock *clock, cJSON *question) _must_check_;

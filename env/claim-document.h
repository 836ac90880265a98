/* SPDX-License-Identifier: MIT */
/* What the QR code says by which a box is paired: which box it becomes, of which cloud, and the token that proves it. One code with
 * an enrolment token is for many boxes. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define CLAIM_DOCUMENT_MAX 4096
#define CLAIM_DOCUMENT_TYPE "secbox.claim"
#define CLAIM_DOCUMENT_VERSION 1
#define CLAIM_COMMUNITY_MAX 100
#define CLAIM_ENROLMENT_PREFIX "sbe_"

typedef struct ClaimDocument {
    char *device_id; /* NULL: the box chooses one; only with an enrolment token */
    char *cloud_url;
    char *gateway_url; /* …/mgmt */
    char *bootstrap;   /* secret; NULL: */
    char *enrolment;   /* secret; by which the box asks to be let in */
    char
        *fingerprint; /* SHA-256 of the public key of the cloud's certificate, hexadecimal; NULL: any that is trusted */
    char *community;  /* a name to show; NULL when there is none */
    uint64_t expires; /* seconds since 1970 */
} ClaimDocument;

/* Reads and checks it. `now` in seconds since 1970, 0: not known, and the gateway alone judges the time. With `host_suffix` the
 * hosts of both addresses must be that name or end in it. Each refusal names its member in err->key: claim.too-large,
 * claim.not-json, claim.version, claim.member, claim.unexpanded, claim.expired, claim.host. The token is in no sentence. */
int claim_document_parse(const char *text, size_t len, uint64_t now, const char *host_suffix, ClaimDocument *ret,
                         Error *err) _must_check_;
void claim_document_done(ClaimDocument *c);

/* The text of the QR code: a new secret string, NULL when out of memory. The gateway's address follows from the cloud's.
 * `bootstrap` may be an enrolment token, and device_id NULL then. */
char *claim_document_print(const char *cloud_url, const char *device_id, const char *bootstrap, uint64_t expires,
                           const char *community);

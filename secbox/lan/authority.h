/* SPDX-License-Identifier: MIT */
/* The certificates with which guards' tablets know their box: an authority made on the box, which each tablet installs once,
 * and a server certificate by it that follows the box's names and addresses. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/digest.h"

#define LAN_HOST "secbox.local"

typedef struct LanAuthority {
    char *ca_key, *ca_cert, *key, *cert; /* paths */
    char *title;                         /* what tablets show: "SecBox caseta5" */
} LanAuthority;

/* Where the files are: below `dir`, which is made. */
int lan_authority_init(LanAuthority *a, const char *dir, const char *device_id, Error *err) _must_check_;
void lan_authority_done(LanAuthority *a);

/* Makes what is missing, and the server's certificate also anew when its names are not `names` (ends with NULL, the first is
 * LAN_HOST), when it does not belong to the authority, or when it would not be valid for another month. *ret_changed tells
 * whether the server's files are others than before. An authority that is there is never replaced: tablets know it. A clock that
 * stands before the program was made counts as that day. Errors: x509.*, key.*, file.*. */
int lan_authority_ensure(const LanAuthority *a, const char *const *names, usec_t now, bool *ret_changed,
                         Error *err) _must_check_;

/* Whether the server's certificate has to be made anew, by its validity alone. */
bool lan_cert_is_due(uint64_t from, uint64_t until, uint64_t now);

/* SHA-256 of the authority's certificate, in pairs with colons as tablets show it: a new string. */
int lan_authority_fingerprint(const LanAuthority *a, char **ret, Error *err) _must_check_;

/* The authority's certificate as a configuration profile of iOS (Apple's Configuration Profile Reference, payload
 * com.apple.security.root): a new string. */
int lan_authority_profile(const LanAuthority *a, char **ret, Error *err) _must_check_;

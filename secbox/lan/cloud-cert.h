/* SPDX-License-Identifier: MIT */
/* A certificate that the cloud sends for the guards' pages, beside the box's own: for a name that tablets know by an authority
 * which they trust already. The box makes the key and a request; only the certificate comes back, so no gateway, no operator and no
 * backup of theirs ever has the key. It is shown to those who ask for one of its names, until it expires: whoever comes
 * by an address or by LAN_HOST gets the box's own certificate, whatever the cloud sends. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct CloudCert {
    char *key, *cert, *fresh; /* paths; the last one of what is not proved yet */
    bool there;
    uint64_t until;                 /* seconds since 1970 */
    char *names, *from, *untrusted; /* what status shows; the last one NULL where this box knows who has signed it */
} CloudCert;

/* Where the files are, and what is there. A certificate that cannot be used counts as none, and is logged. */
int cloud_cert_init(CloudCert *c, const char *dir, Error *err) _must_check_;
void cloud_cert_done(CloudCert *c);

/* Whether it is to be shown now. A clock that is behind is no reason against it: tablets go by their own. */
bool cloud_cert_is_good(const CloudCert *c, usec_t now);

/* The PEM text of a request for these names (an array of strings): a new string. "lan.certificate-names", x509.make, file.*. */
int cloud_cert_request(const CloudCert *c, const cJSON *names, char **ret, Error *err) _must_check_;

/* Takes a PEM chain: `use` has to show it that can show it from these files, or nothing is changed. "lan.certificate" says what is
 * wrong with it; file.*. */
int cloud_cert_set(CloudCert *c, const char *pem, usec_t now,
                   int (*use)(const char *cert, const char *key, void *userdata, Error *err), void *userdata,
                   Error *err) _must_check_;

/* Forgets it and its key. */
int cloud_cert_remove(CloudCert *c, Error *err) _must_check_;

/* What is there, for lan.certificate.report: a new object, NULL when out of memory. `shown`: it is in use. */
cJSON *cloud_cert_describe(const CloudCert *c, bool shown);

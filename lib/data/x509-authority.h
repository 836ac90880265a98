/* SPDX-License-Identifier: MIT */
/* A small certificate authority of one machine (RFC 5280): an authority that can vouch for local addresses alone, and the
 * certificates of the machine's own server. All keys are P-256. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/digest.h"

typedef struct CertValidity {
    uint64_t from, until; /* seconds since 1970 */
} CertValidity;

/* Makes an authority: its private key goes to key_path (mode 0600, durable), the certificate to cert_path (PEM, 0644).
 * `name` is its common name. The name constraints are critical and permit the DNS names `host` and below, localhost, and
 * addresses that no public network has: 10/8, 172.16/12, 192.168/16, 169.254/16, 127/8, fc00::/7, fe80::/10, ::1.
 * "x509.make", file.*. */
int x509_authority_make(const char *key_path, const char *cert_path, const char *name, const char *host,
                        CertValidity validity, Error *err) _must_check_;

/* Makes a key and a server certificate for `names` (DNS names and numeric addresses; ends with NULL; the first is the
 * common name), signed by the authority in those two files. cert_path gets the certificate and the authority's behind it.
 * The key is written first: a crash between the two leaves a pair that does not match, which x509_server_check() sees.
 * "x509.make", "key.bad", file.*. */
int x509_server_make(const char *ca_key_path, const char *ca_cert_path, const char *key_path, const char *cert_path,
                     const char *const *names, CertValidity validity, Error *err) _must_check_;

/* What a certificate file (PEM; its first certificate) says. */
typedef struct CertFacts {
    CertValidity validity;
    char fingerprint[SHA256_HEX_SIZE]; /* SHA-256 of the certificate's DER, as browsers show it without the colons */
} CertFacts;

/* -ENOENT when there is no such file; "x509.bad" when it is not a certificate. */
int x509_read(const char *cert_path, CertFacts *ret, Error *err) _must_check_;

/* 0 when the server's key belongs to its certificate, that is signed by the authority and names exactly `names`;
 * -ESTALE when it must be made anew; -ENOENT when a file is missing; other errors as of x509_read(). */
int x509_server_check(const char *ca_cert_path, const char *key_path, const char *cert_path, const char *const *names,
                      Error *err) _must_check_;

/* Asks somebody else for a certificate (PKCS #10, RFC 2986): the PEM text of a request for `names` (as above, but host names only,
 * of which the first label may be a star and then stands for any one), signed with the key in key_path, which is made when there is
 * none. The key stays here. "x509.make", "key.bad", file.*. */
int x509_request_make(const char *key_path, const char *const *names, char **ret, Error *err) _must_check_;

/* The DER form of the first certificate: a new block, owned by the caller. */
int x509_der(const char *cert_path, uint8_t **ret, size_t *ret_len, Error *err) _must_check_;

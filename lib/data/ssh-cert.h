/* SPDX-License-Identifier: MIT */
/* OpenSSH user certificates (PROTOCOL.certkeys; wire types of RFC 4251 §5, keys of RFC 5656 and RFC 8709) by an Ed25519
 * authority of our own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/ssh-wire.h"

/* A user's public key: what ssh-keygen writes into KEY.pub. */
typedef struct SshPublicKey {
    const char *type; /* "ssh-ed25519", "ecdsa-sha2-nistp256" */
    uint8_t *fields;  /* its wire form behind the type; owned */
    size_t fields_len;
    char fingerprint[SSH_FINGERPRINT_SIZE]; /* as ssh-keygen -l shows it */
} SshPublicKey;

/* "TYPE BASE64 [COMMENT]", one line, with or without its newline. Only the two types above, only in their one canonical
 * form, a point only on its curve. "ssh.bad-key". */
int ssh_public_key_parse(const char *text, SshPublicKey *ret, Error *err) _must_check_;
void ssh_public_key_done(SshPublicKey *k);

typedef struct SshCa SshCa;

/* The authority's private key from a PEM file of mode 0600; made when it is missing. "key.bad", "key.bad-mode". */
int ssh_ca_load_or_make(const char *path, SshCa **ret, Error *err) _must_check_;
/* The same of an open file, read to its end; `name` is for sentences. "key.bad". */
int ssh_ca_read(int fd, const char *name, SshCa **ret, Error *err) _must_check_;
SshCa *ssh_ca_free(SshCa *ca);
DEFINE_CLEANUP(SshCa, ssh_ca_free)

/* "ssh-ed25519 BASE64 COMMENT" for TrustedUserCAKeys: a new string, NULL when out of memory. */
char *ssh_ca_public(const SshCa *ca, const char *comment);

typedef struct SshCertSpec {
    const SshPublicKey *key;
    uint64_t serial;
    const char *key_id;                 /* goes into sshd's log */
    const char *principal;              /* the only one */
    uint64_t valid_after, valid_before; /* seconds since 1970 */
    const char *force_command;          /* what sshd runs whatever is asked for; NULL: that */
    const char *source_address;    /* from where alone it is good: CIDR blocks with commas between; NULL: anywhere */
    const char *const *extensions; /* ends with NULL; in the order of their bytes */
} SshCertSpec;

/* Signs a user certificate: a new string as it belongs into KEY-cert.pub, without a newline. */
int ssh_cert_sign(const SshCa *ca, const SshCertSpec *spec, char **ret, Error *err) _must_check_;

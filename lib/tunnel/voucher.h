/* SPDX-License-Identifier: MIT */
/* A box's management key names the keys of the box's other roles (docs/wire-format.md, "Vouched keys"). What is signed holds a
 * nonce of the gateway, for one connection: it needs no clock, and is good nowhere else. */
#pragma once

#include "lib/base/error.h"
#include "lib/data/key.h"

/* RFC 7638 with SHA-256, in base64url */
#define THUMBPRINT_LENGTH 43

typedef struct Voucher {
    const char *nonce, *device;            /* of the connection; the box */
    const char *device_key, *recovery_key; /* thumbprints; NULL: it says nothing about that role */
} Voucher;

/* ES256 in base64url, a new string. -EINVAL for a nonce, a name or a thumbprint that cannot be one. */
int voucher_sign(const Key *key, const Voucher *v, char **ret) _must_check_;
/* -EBADMSG when the signature is not by this key over just this. */
int voucher_check(const Key *key, const Voucher *v, const char *signature) _must_check_;

/* A role's key, as its program leaves it for mgmt-agent in its own run folder: the thumbprint and a newline. */
int key_offer_write(const char *path, const Key *key, Error *err) _must_check_;
/* The thumbprint, a new string. NULL where there is none, or something else: the writer may be a container. */
char *key_offer_read(const char *path);

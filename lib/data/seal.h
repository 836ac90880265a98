/* SPDX-License-Identifier: MIT */
/* Files that only boxes may read on their way through the cloud. All of one push are sealed with one content key (AES-256-GCM), and
 * that key is wrapped for each box (RFC 9180). What is sealed names its path, what is wrapped names its box: neither can be put
 * in another one's place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/key-hpke.h"

#define SEAL_KEY_SIZE 32
#define SEAL_PUBLIC_TEXT 43   /* base64url of HPKE_KEY_SIZE */
#define SEAL_WRAPPED_TEXT 107 /* base64url of SEAL_KEY_SIZE + HPKE_OVERHEAD */

/* Public keys as text. -EINVAL. */
int seal_public_parse(const char *text, uint8_t ret[static HPKE_KEY_SIZE]) _must_check_;
char *seal_public_print(const HpkeKey *k);
bool seal_wrapped_is_valid(const char *text);

/* A new string in *ret. -EINVAL: that is no public key. */
int seal_wrap(const uint8_t content_key[static SEAL_KEY_SIZE], const uint8_t to[static HPKE_KEY_SIZE],
              const char *device, char **ret) _must_check_;
/* -EBADMSG: it is not for this box, or was changed. */
int seal_unwrap(const char *wrapped, const HpkeKey *k, const char *device,
                uint8_t ret[static SEAL_KEY_SIZE]) _must_check_;

/* Whether that is what seal_file() makes. */
bool seal_is_sealed(const char *data, size_t len);
/* New memory in *ret. */
int seal_file(const uint8_t content_key[static SEAL_KEY_SIZE], const char *path, const char *data, size_t len,
              char **ret, size_t *ret_len) _must_check_;
/* The same, followed by a NUL. -EBADMSG: not with this key, or not for this path. */
int seal_open_file(const uint8_t content_key[static SEAL_KEY_SIZE], const char *path, const char *data, size_t len,
                   char **ret, size_t *ret_len) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Private keys of any kind as PKCS#8 PEM files with mode 0600: what all kinds of keys have in common. */
#pragma once

#include <openssl/evp.h>
#include <sys/types.h>

#include "lib/base/error.h"

DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)

/* NULL when the text is not a private key, or has a pass phrase. */
EVP_PKEY *key_pem_parse(const char *text, size_t len);

/* The same, which asks on the terminal for the pass phrase of a key that has one. */
EVP_PKEY *key_pem_parse_asking(const char *text, size_t len);

/* file_read_secret() with a limit that fits a key: the caller parses, judges and wipes the text (secret_free). */
int key_pem_read(const char *path, uid_t owner, char **ret, size_t *ret_len, Error *err) _must_check_;

/* A new string that ends in a newline; secret_free() it. */
int key_pem_print(EVP_PKEY *pkey, char **ret, Error *err) _must_check_;

/* Under a pass phrase, which is asked for on the terminal, twice. key.generate, also when none was given. */
int key_pem_print_asking(EVP_PKEY *pkey, char **ret, Error *err) _must_check_;

/* Saves durably, mode 0600, owner uid:gid unless (uid_t) -1. */
int key_pem_write(EVP_PKEY *pkey, const char *path, uid_t uid, gid_t gid, Error *err) _must_check_;

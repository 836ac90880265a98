/* SPDX-License-Identifier: MIT */
/* The wire types of RFC 4251 §5, in which OpenSSH's keys, certificates and signatures are written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define SSH_ED25519 "ssh-ed25519"
#define SSH_PUBLIC_KEY_MAX 2048 /* one line */
#define SSH_FINGERPRINT_SIZE 51 /* "SHA256:" and 43 characters of base64, with NUL */

/* What is left of a wire text; borrowed. */
typedef struct SshText {
    const uint8_t *data;
    size_t len;
} SshText;

/* Each takes something off the front. -EBADMSG when it is not there. */
int ssh_wire_string(SshText *w, SshText *ret) _must_check_;
int ssh_wire_u32(SshText *w, uint32_t *ret) _must_check_;
int ssh_wire_bytes(SshText *w, size_t n, SshText *ret) _must_check_;

bool ssh_wire_is(const SshText *w, const char *text);

/* Appending: as buf_append(). */
int ssh_put_u32(Buf *b, uint32_t n) _must_check_;
int ssh_put_u64(Buf *b, uint64_t n) _must_check_;
int ssh_put_string(Buf *b, const void *data, size_t len) _must_check_;
int ssh_put_text(Buf *b, const char *text) _must_check_;

/* Of a public key's wire form, as ssh-keygen -l shows it. -ENOMEM. */
int ssh_fingerprint(const void *blob, size_t len, char ret[static SSH_FINGERPRINT_SIZE]) _must_check_;

/* Of a public key's file: the length of its one line, or 0 when it is longer, or something else. */
size_t ssh_line_length(const char *text);
/* "ssh-ed25519 BASE64 COMMENT" (NULL: none): a new string, NULL when out of memory. */
char *ssh_ed25519_line(const uint8_t public[static 32], const char *comment);

/* SPDX-License-Identifier: MIT */
/* Which certificates of support staff sshd must not take any more: a short list that the gateway sends, kept as text for the
 * helper of root that makes a key revocation list of it (OpenSSH's PROTOCOL.krl). The file is what ssh-keygen(1) calls a
 * specification: a line "# version NUMBER", then "id: KEY-ID" for each. */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "lib/base/error.h"

#define SSH_REVOCATIONS_MAX 400 /* ids: a message and a file stay small */

/* That of the file; 0: there is none, or it does not tell. */
uint64_t ssh_revocations_version(const char *path);

/* Keeps the list of an ssh.revocations message there, durably. 1; 0 where this version is there already. -ESTALE
 * ssh.revocations-old: what is there is newer, and stays; ssh.bad-revocations (-EBADMSG); file.write. */
int ssh_revocations_take(const char *path, const cJSON *message, Error *err) _must_check_;

/* Whether the file is as it was written; 0 where there is none. -EBADMSG ssh.bad-revocations. */
int ssh_revocations_check(const char *path, Error *err) _must_check_;

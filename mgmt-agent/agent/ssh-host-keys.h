/* SPDX-License-Identifier: MIT */
/* The public halves of the host keys that this machine's sshd uses, for people who come in through the cloud. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Where Debian's sshd has them, for who wants to see them change: below the prefix of lib/base/paths.h. Ends with NULL. */
extern const char *const ssh_host_key_paths[];

/* An array of "TYPE BASE64", as sshd_config(5) names the files: those of HostKey, else the usual ones. Empty when they cannot be
 * told for sure, as with an Include of a place of its own; NULL when out of memory. */
cJSON *ssh_host_keys_read(void);

/* Whether both sshds of this machine let in by BOX:ACCOUNT: a recovery package of an earlier time knows no accounts. */
bool sshd_accounts_are_told_apart(void);

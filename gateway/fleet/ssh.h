/* SPDX-License-Identifier: MIT */
/* What the verbs around ssh share: keys, certificates, and running OpenSSH's programs. */
#pragma once

#include "gateway/fleet/fleet.h"

/* An empty folder of our own for what is needed for a moment: a new string. */
int ssh_make_folder(char **ret, Error *err) _must_check_;
/* Makes an Ed25519 key pair at `path` and `path`.pub. ssh.keygen. */
int ssh_make_key(const char *path, Error *err) _must_check_;
/* Has the gateway certify `path`.pub under the grant, into `path`-cert.pub. As api_call(). */
int ssh_certify(Fleet *fleet, const char *grant, const char *path, ApiReply *reply, Error *err) _must_check_;

/* Runs a program found on PATH to its end, with our own terminal, or with nothing to read. Ctrl-C is its business
 * meanwhile. Returns its exit code (128 + signal, as shells do), or negative: ssh.spawn. */
int ssh_run(char *const *argv, bool with_terminal, Error *err) _must_check_;

/* This program's own path: a new string or NULL. */
char *ssh_own_path(void);
/* As one word for a shell: a new string or NULL. */
char *ssh_quote(const char *text);

/* SPDX-License-Identifier: MIT */
/* `configs` and `secrets` that the box makes of a text, a variable or a file that came along: mgmt-agent/state/made-file.h. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* For ComposeResolveOptions; the userdata is the DeployTarget. What it names is remembered there, and not written. A secret is
 * hidden from then on wherever this process shows text. */
int deploy_make_file(const ComposeMadeFile *f, char **ret, void *userdata, Error *err) _must_check_;
bool deploy_has_file(const char *path, void *userdata);
/* Of a file that came along: bundle.sealed when it is that of a secret, which only this box can read. */
int deploy_check_unsealed(const DeployTarget *t, const char *path, Error *err) _must_check_;
/* Whether this push makes what is mounted there. */
bool deploy_makes(const DeployTarget *t, const char *source);
/* Whether podman has the ids of whom it is going to belong to; nothing else is asked of what this push does not make.
 * preflight.no-id. */
int deploy_check_made(const Box *box, const DeployTarget *t, const ComposeService *s, const char *source,
                      Error *err) _must_check_;
/* Writes what this service mounts of it. */
int deploy_write_made(const Box *box, const DeployTarget *t, const ComposeService *s, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The files that a project names beside its text, put together for the way to a box. */
#pragma once

#include "compose/gather/gather.h"
#include "compose/model/resolve-options.h"
#include "lib/data/bundle.h"
#include "lib/data/seal.h"

/* NULL in *ret when there are none, or only empty folders. Errors are those of bundle_pack_add(). */
int project_pack(const Gathered *g, BundlePack **ret, Error *err) _must_check_;

/* The same files for the checks of compose files; `g` has to last as long. */
ComposeFiles project_files(const Gathered *g);

/* Whether all of it may pass through the cloud as it is: gather.secret for an env file with a value that looks like a secret, for
 * private keys, and, unless they are going to be sealed, for the files of `secrets`. */
int project_pack_check_open(const Gathered *g, const BundlePack *pack, bool seals, Error *err) _must_check_;

/* Whether there is a file of `secrets` among them. */
bool project_has_secrets(const Gathered *g);
/* Seals those with this key, so that only boxes can read them to which that is wrapped. gather.secret for one that others would
 * get as well: in a folder, or as an env_file, a config or a mount. */
int project_pack_seal(const Gathered *g, BundlePack *pack, const uint8_t key[static SEAL_KEY_SIZE],
                      Error *err) _must_check_;

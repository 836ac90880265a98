/* SPDX-License-Identifier: MIT */
/* The files that a project names beside its text, put together for the way to a box. */
#pragma once

#include "compose/gather/gather.h"
#include "compose/model/resolve-options.h"
#include "lib/data/bundle.h"

/* NULL in *ret when there are none, or only empty folders. Errors are those of bundle_pack_add(). */
int project_pack(const Gathered *g, BundlePack **ret, Error *err) _must_check_;

/* The same files for the checks of compose files; `g` has to last as long. */
ComposeFiles project_files(const Gathered *g);

/* Whether all of it may pass through the cloud as it is: gather.secret for the files of `secrets`, for an env
 * file with a value that looks like a secret, and for private keys. */
int project_pack_check_open(const Gathered *g, const BundlePack *pack, Error *err) _must_check_;

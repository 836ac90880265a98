/* SPDX-License-Identifier: MIT */
/* From a file to a project. */
#pragma once

#include "compose/model/project.h"
#include "compose/model/resolve-options.h"
#include "compose/parse/parse.h"

/* Interpolates every value (not keys) and normalises. Errors, with file, line and key path: interpolate.* (see
 * interpolate.h), compose.bad-value, compose.duplicate-container-name, compose.duplicate-port, compose.missing-network,
 * compose.missing-volume, compose.missing-dependency, compose.dependency-cycle, compose.bad-port, compose.bad-duration,
 * compose.no-image, compose.network-mode, compose.literal-variable,
 * compose.unsupported-key, compose.name. */
int compose_resolve(const ComposeFile *f, const ComposeResolveOptions *options, ComposeProject **ret,
                    Error *err) _must_check_;

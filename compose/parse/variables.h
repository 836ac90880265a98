/* SPDX-License-Identifier: MIT */
/* Variables in a whole file. */
#pragma once

#include "compose/model/resolve-options.h"
#include "compose/parse/parse.h"

/* A copy of the file's tree in which every value (no key) is interpolated. All values together may be at most
 * COMPOSE_RENDERED_MAX long afterwards. With on_unset, unset variables are reported there instead of failing. */
int compose_interpolate(const ComposeFile *f, compose_lookup_t lookup, void *userdata,
                        int (*on_unset)(const char *name, void *userdata), YamlNode **ret, Error *err) _must_check_;

/* All variables that the file needs (those without a default, and not inside an alternative that is not taken;
 * interpolate.h has the grammar), sorted, without duplicates. New strv in *ret. */
int compose_required_keys(const ComposeFile *f, compose_lookup_t lookup, void *userdata, char ***ret,
                          Error *err) _must_check_;

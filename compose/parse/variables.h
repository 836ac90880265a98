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

#define COMPOSE_USED_VARIABLES_MAX 256

/* Variables that the file uses: those that lookup() knows, and those that get a default, or nothing; sorted, without duplicates.
 * One whose value is empty is in neither list: it is its operator that says whether the default is taken then. At most
 * COMPOSE_USED_VARIABLES_MAX, since a file may have many more than anybody reads. New strvs; NULL for none. */
int compose_used_variables(const ComposeFile *f, compose_lookup_t lookup, void *userdata, char ***ret_known,
                           char ***ret_unknown, Error *err) _must_check_;

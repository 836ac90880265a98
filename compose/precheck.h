/* SPDX-License-Identifier: MIT */
/* What any machine can say about a compose file without knowing the box: all checks that the box makes, on everything
 * that does not depend on a variable. The same on the operator's machine, at the gateway and on the box. */
#pragma once

#include "compose/model/resolve-options.h"
#include "compose/parse/parse.h"

/* For a text that comes with files of which it is not known which they are. */
extern const ComposeFiles compose_any_files;

/* Refuses (err, with place) what every box refuses: compose_parse()'s reasons, interpolate.syntax, .too-deep and .too-long
 * anywhere, what compose_resolve() and compose_render() say of the known part (compose/parse/known-part.h), and what no
 * policy.json can allow. Unset variables are fine: only the box knows its values. *ret_policy (start from `= {}`) is set to
 * the first that the built-in policy refuses and a box's own may allow; empty when nothing. NULL: no policy is asked. `files` come
 * with it; NULL: none do. */
int compose_precheck(const char *text, size_t len, const char *file, const ComposeFiles *files, Error *ret_policy,
                     Error *err) _must_check_;
/* The same of a file that is parsed, without the policy. */
int compose_precheck_file(const ComposeFile *file, const ComposeFiles *files, Error *err) _must_check_;
/* Of a file that passes: whether podman-compose can make all of it, which a box may be set to. */
int compose_precheck_podman_compose(const ComposeFile *file, const ComposeFiles *files, Error *err) _must_check_;

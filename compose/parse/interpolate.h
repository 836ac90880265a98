/* SPDX-License-Identifier: MIT */
/* Variables in compose files, by the Compose specification's interpolation section:
 *   $V ${V}  ${V:-d} ${V-d}  ${V:?m} ${V?m}  ${V:+r} ${V+r}  $$
 * Defaults, messages and replacements nest and may hold braces when they balance; an alternative that is not
 * taken is not evaluated. A lone $ that starts none of these stays as it is; "${" must close. One difference
 * (SPEC §4.6): unset without a default is an error, never an empty string. */
#pragma once

#include <stdbool.h>

#include "compose/model/resolve-options.h"

typedef struct InterpolateContext {
    compose_lookup_t lookup;
    void *userdata;
    const char *file; /* for errors */
    unsigned line;
    const char *key;
    /* Unset variables without a default: with this set they are reported here and replaced by ""; without it
     * they are an error. */
    int (*on_unset)(const char *name, void *userdata);
} InterpolateContext;

/* New string in *ret. Errors with place: interpolate.unset (names the variable), interpolate.required (with
 * the message of the ?-form), interpolate.syntax (unclosed, bad name), interpolate.too-deep,
 * interpolate.too-long. */
int interpolate(const char *text, const InterpolateContext *context, char **ret, Error *err) _must_check_;

/* Whether the text has any variable in it ($$ is not one). */
bool interpolate_has_variable(const char *text);

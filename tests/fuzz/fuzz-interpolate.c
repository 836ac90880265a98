/* SPDX-License-Identifier: MIT */
/* Interpolation ends, keeps its caps, and does not depend on being asked twice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compose/parse/interpolate.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(const char *key, void *userdata)
{
    (void) userdata;
    if (key[0] == 'A')
        return "value $A ${A} $$";
    return key[0] == 'E' ? "" : NULL;
}

static int ignore_unset(const char *name, void *userdata)
{
    (void) name;
    (void) userdata;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    InterpolateContext context = { .lookup = lookup, .file = "fuzz", .line = 1 };
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    _cleanup_(freep) char *result = NULL;
    _cleanup_(freep) char *lenient = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(error_done) Error lenient_err = {};
    int r, lenient_r;

    if (!text)
        return 0;
    r = interpolate(text, &context, &result, &err);
    context.on_unset = ignore_unset;
    lenient_r = interpolate(text, &context, &lenient, &lenient_err);
    if (r < 0 ? result || !err.id : !result || strlen(result) > INTERPOLATE_RESULT_MAX)
        abort();
    /* what succeeds without help succeeds with it, to the same text */
    if (r >= 0 && (lenient_r < 0 || !str_equal(result, lenient)))
        abort();
    if (lenient_r < 0 &&
        (str_equal(lenient_err.id, "interpolate.unset") || str_equal(lenient_err.id, "interpolate.required")))
        abort();
    if (r >= 0 && !interpolate_has_variable(text) && !strstr(text, "$$") && !str_equal(result, text))
        abort();
    return 0;
}

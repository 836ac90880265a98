/* SPDX-License-Identifier: MIT */
/* The checks that an operator's machine runs with the box's own code before anything is sent. */
#include "compose/precheck.h"

#include <errno.h>

#include "compose/parse/interpolate.h"
#include "compose/policy/policy.h"
#include "lib/base/strv.h"

static const char *lookup_nothing(const char *key, void *userdata)
{
    (void) key;
    (void) userdata;
    return NULL;
}

/* Whether the reason is one that no value of any variable can cure. */
static int is_grammar(const Error *err)
{
    const char *id = error_id(err);
    return str_equal(id, "interpolate.syntax") || str_equal(id, "interpolate.too-deep") ||
           str_equal(id, "interpolate.too-long");
}

static int check_grammar(const ComposeFile *file, Error *err)
{
    _cleanup_(strv_freep) char **keys = NULL;
    _cleanup_(error_done) Error found = {};

    int r = compose_required_keys(file, lookup_nothing, NULL, &keys, &found);
    if (r >= 0 || (r != -ENOMEM && !is_grammar(&found)))
        return 0;
    error_copy(err, &found);
    return r;
}

int compose_precheck(const char *text, size_t len, const char *file, Error *ret_policy, Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *parsed = NULL;
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(error_done) Error finding = {};

    int r = compose_parse(text, len, file, &parsed, err);
    if (r < 0)
        return r;
    r = check_grammar(parsed, err);
    if (r < 0)
        return r;
    r = policy_parse(NULL, 0, NULL, &policy, err);
    if (r < 0)
        return r;
    if (compose_policy_check(parsed, policy, &finding) < 0)
        (void) error_copy(ret_policy, &finding);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Resolves compose files that stand in a test as text. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "compose/compose.h"

static inline int resolve_text(const char *text, const ComposeResolveOptions *options, ComposeProject **ret, Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    int r = compose_parse(text, strlen(text), "c.yml", &f, err);

    return r < 0 ? r : compose_resolve(f, options, ret, err);
}

/* What is refused fails the test. */
static inline ComposeProject *resolve_good_text(const char *text, const ComposeResolveOptions *options)
{
    _cleanup_(error_done) Error err = {};
    ComposeProject *p = NULL;
    int r = resolve_text(text, options, &p, &err);

    if (r < 0)
        fail_msg("%s\n%s line %u: %s", text, error_id(&err), err.line, error_message(&err, r));
    return p;
}

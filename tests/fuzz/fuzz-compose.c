/* SPDX-License-Identifier: MIT */
/* A compose file is refused with a reason, or resolves to a project that prints to a file that resolves to
 * the same. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compose/compose.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(const char *key, void *userdata)
{
    (void) userdata;
    if (key[0] == 'S')
        return "set$SET";
    return key[0] == 'E' ? "" : NULL;
}

static int read_env_file(const char *path, char **ret, void *userdata, Error *err)
{
    (void) userdata;
    (void) err;
    *ret = strdup(strlen(path) % 2 ? "A=1\nB=2\n" : "bad line\n");
    return *ret ? 0 : -ENOMEM;
}

static ComposeProject *resolve(const char *text, size_t size, Error *err)
{
    const ComposeResolveOptions options = {
        .project = "fuzz",
        .base_dir = "/srv/fuzz",
        .lookup = lookup,
        .read_env_file = read_env_file,
    };
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(strv_freep) char **keys = NULL;
    ComposeProject *p = NULL;

    if (compose_parse(text, size, "fuzz.yml", &f, err) < 0)
        return NULL;
    if (compose_required_keys(f, lookup, NULL, &keys, err) < 0 || compose_resolve(f, &options, &p, err) < 0)
        return NULL;
    /* it resolved, so nothing can have been missing */
    if (keys[0])
        abort();
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(error_done) Error again_err = {};
    _cleanup_(compose_project_freep) ComposeProject *p = resolve((const char *) data, size, &err);
    _cleanup_(compose_project_freep) ComposeProject *again = NULL;
    _cleanup_(freep) char *printed = NULL;
    _cleanup_(freep) char *reprinted = NULL;

    if (!p) {
        if (!err.id)
            abort();
        return 0;
    }
    printed = compose_print(p);
    /* the longest files pass a cap when everything is written out */
    if (!printed || strlen(printed) > YAML_SIZE_MAX / 8)
        return 0;
    again = resolve(printed, strlen(printed), &again_err);
    if (!again)
        abort();
    reprinted = compose_print(again);
    if (!str_equal(printed, reprinted))
        abort();
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "compose/precheck.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/compose.h"
#include "compose/engine-check.h"
#include "compose/parse/known-part.h"
#include "compose/parse/tree-path.h"
#include "compose/policy/policy.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

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

/* What a service takes over from its surroundings is there, whatever it is. */
static const char *lookup_anything(const char *key, void *userdata)
{
    (void) key;
    (void) userdata;
    return "";
}

static int read_any_env_file(const char *path, char **ret, void *userdata, Error *err)
{
    (void) path;
    (void) userdata;
    (void) err;
    *ret = strdup("");
    return *ret ? 0 : -ENOMEM;
}

static int find_any_file(const char *path, bool read_only, char **ret, void *userdata, Error *err)
{
    (void) read_only;
    (void) userdata;
    (void) err;
    *ret = str_format(FILES_DIR "/%s", path);
    return *ret ? 0 : -ENOMEM;
}

static bool has_any_file(const char *path, void *userdata)
{
    (void) path;
    (void) userdata;
    return true;
}

const ComposeFiles compose_any_files = { .find = find_any_file, .has = has_any_file };

/* A box may still refuse more: with its values, its policy and what is on its disk. */
static int check_known_part(const ComposeFile *file, const ComposeFiles *files, const char *engine, Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *known = NULL;
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    int r = compose_known_part(file, &known);
    if (r < 0)
        return r;
    const ComposeResolveOptions resolve = {
        .project = "secbox",
        .base_dir = "/var/lib/tucomunidad/compose",
        .lookup = lookup_anything,
        .read_env_file = read_any_env_file,
        .find_file = files ? files->find : NULL,
        .has_file = files ? files->has : NULL,
        .files = files ? files->userdata : NULL,
    };
    r = compose_resolve(known, &resolve, &p, err);
    if (r >= 0)
        r = engine_check_all(engine, p, err);
    /* rendering knows the key, and neither the file nor its line there */
    if (r < 0 && err && !err->file) {
        unsigned line = err->key ? tree_path_line(compose_file_root(file), err->key) : 0;
        err->line = line ? line : err->line;
        err->file = strdup(compose_file_name(file));
    }
    return r;
}

static int check_policy(const ComposeFile *file, Error *ret_policy, Error *err)
{
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(cJSON_Deletep) cJSON *allowing = NULL;
    _cleanup_(error_list_done) ErrorList allowable = {}, never = {};
    int r = policy_parse(NULL, 0, NULL, &policy, err);
    if (r >= 0)
        r = compose_policy_find_all(file, policy, &allowable, &never, &allowing);
    if (r >= 0 && never.n > 0) {
        (void) error_copy(err, &never.items[0]);
        return -EPERM;
    }
    if (r >= 0 && allowable.n > 0)
        (void) error_copy(ret_policy, &allowable.items[0]);
    return r;
}

int compose_precheck_file(const ComposeFile *file, const ComposeFiles *files, Error *err)
{
    int r = check_grammar(file, err);
    return r < 0 ? r : check_known_part(file, files, ENGINE_AUTO, err);
}

int compose_precheck_podman_compose(const ComposeFile *file, const ComposeFiles *files, Error *err)
{
    return check_known_part(file, files, ENGINE_PODMAN_COMPOSE, err);
}

int compose_precheck(const char *text, size_t len, const char *file, const ComposeFiles *files, Error *ret_policy,
                     Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *parsed = NULL;
    int r = compose_parse(text, len, file, &parsed, err);
    if (r >= 0)
        r = compose_precheck_file(parsed, files, err);
    return r < 0 || !ret_policy ? r : check_policy(parsed, ret_policy, err);
}

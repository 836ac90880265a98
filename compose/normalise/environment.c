/* SPDX-License-Identifier: MIT */
/* What a container gets in its environment: env_file first, environment over it, and every value resolved. */
#include <errno.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "env/dotenv.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define VARIABLE_NAME_MAX 1024

/* What podman's env files can carry; most programs want less, but which one runs here is not ours to know. */
static bool name_is_fine(const char *key)
{
    size_t len = strlen(key);

    if (len == 0 || len > VARIABLE_NAME_MAX || *key == '#' || strstr(key, "${"))
        return false;
    for (const char *p = key; *p; p++)
        if (*p == '=' || (unsigned char) *p <= ' ' || *p == 0x7f)
            return false;
    return true;
}

static int put_variable(const Place *at, ComposeService *s, const char *key, const char *value)
{
    if (!name_is_fine(key))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%.100s\" is no name of a variable: 1 to %d characters without white space and =, and no # "
                          "first",
                          key, VARIABLE_NAME_MAX);
    if (strlen(value) > ENV_VALUE_MAX)
        return place_fail(at, EMSGSIZE, "compose.bad-value", "the value of %s is longer than %d bytes", key,
                          ENV_VALUE_MAX);
    if (strstr(value, "${"))
        return place_fail(
            at, EINVAL, "compose.literal-variable",
            "the value of %s would reach the container with \"${\" in it; a program would take that for an "
            "unresolved variable",
            key);
    cJSON_DeleteItemFromObjectCaseSensitive(s->environment, key);
    return put_text(s->environment, key, value);
}

static int read_env_file(const Place *at, const Normaliser *n, const char *path, bool required, ComposeService *s)
{
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;
    int r = n->options->read_env_file(path, &text, n->options->userdata, at->err);

    if (r == -ENOENT && !required) {
        if (at->err)
            error_done(at->err);
        return 0;
    }
    if (r >= 0)
        r = dotenv_parse(text, strlen(text), path, &env, at->err);
    if (r < 0)
        return at->err && at->err->id ? error_prefix(at->err, r, "env_file of service %s", s->name)
                                      : place_fail(at, -r, "compose.env-file", "the file %s cannot be read", path);
    for (size_t i = 0; i < env_size(env); i++) {
        r = put_variable(at, s, env_key_at(env, i), env_value_at(env, i));
        if (r < 0)
            return r;
    }
    return 0;
}

/* What read_env_file() gets: a clean path, relative to base_dir when it is written so. */
static int take_env_path(const Place *at, const Normaliser *n, char **ret)
{
    _cleanup_(freep) char *path = NULL;
    const char *value = NULL, *below = NULL;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    if (!*value)
        return place_fail(at, EINVAL, "compose.bad-value", "the path is empty");
    if (!n->options->read_env_file)
        return place_fail(at, EINVAL, "compose.unsupported-key", "`env_file` is not accepted here; use `environment`");
    r = take_host_path(at, n, value, &path);
    if (r >= 0)
        r = path_below_base(at, n, path, &below);
    if (r < 0)
        return r;
    *ret = strdup(*value == '/' ? path : below);
    return *ret ? 0 : -ENOMEM;
}

static int take_env_file(const Place *at, const Normaliser *n, ComposeService *s)
{
    _cleanup_(freep) char *path = NULL;
    Place path_at = at->node->type == YAML_MAPPING ? place_member(at, "path") : *at;
    Place required_at = place_member(at, "required");
    bool required = true;
    int r = take_env_path(&path_at, n, &path);

    if (r >= 0 && required_at.node)
        r = take_bool(&required_at, &required);
    return r < 0 ? r : read_env_file(at, n, path, required, s);
}

static int take_env_files(const Place *at, const Normaliser *n, ComposeService *s)
{
    if (at->node->type != YAML_SEQUENCE)
        return take_env_file(at, n, s);
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        int r = take_env_file(&item, n, s);

        if (r < 0)
            return r;
    }
    return 0;
}

/* A key without a value is passed through from outside; an env_file may have given it already. */
static int pass_through(const Place *at, const Normaliser *n, ComposeService *s, const char *key)
{
    const char *value;

    if (!name_is_fine(key))
        return put_variable(at, s, key, "");
    value = n->options->lookup(key, n->options->userdata);
    if (value)
        return put_variable(at, s, key, value);
    if (cJSON_GetObjectItemCaseSensitive(s->environment, key))
        return 0;
    if (env_key_is_dangerous(key))
        return place_fail(at, EINVAL, "interpolate.unset",
                          "variable %s is not set: no box has a value for it; write it as %s: VALUE", key, key);
    return place_fail(at, EINVAL, "interpolate.unset",
                      "variable %s is not set and has no default; add %s=… to secbox.env", key, key);
}

static int take_entry(const Place *at, const Normaliser *n, ComposeService *s, cJSON *seen)
{
    _cleanup_(freep) char *key = NULL;
    const char *text = NULL, *value = NULL;
    int r = 0;

    if (at->key) {
        key = strdup(at->key);
        if (!yaml_is_null(at->node))
            r = take_any_text(at, &value);
    } else {
        r = take_any_text(at, &text);
        if (r >= 0) {
            const char *equals = strchrnul(text, '=');

            key = strndup(text, (size_t) (equals - text));
            value = *equals ? equals + 1 : NULL;
        }
    }
    if (r < 0)
        return r;
    if (!key)
        return -ENOMEM;
    if (cJSON_GetObjectItemCaseSensitive(seen, key))
        return place_fail(at, EINVAL, "compose.bad-value", "the variable %s is there twice; remove one", key);
    r = put_text(seen, key, "");
    if (r < 0)
        return r;
    return value ? put_variable(at, s, key, value) : pass_through(at, n, s, key);
}

int normalise_environment(const Place *service, const Normaliser *n, ComposeService *s)
{
    _cleanup_(cJSON_Deletep) cJSON *seen = cJSON_CreateObject();
    Place env_file = place_member(service, "env_file"), environment = place_member(service, "environment");
    int r = 0;

    s->environment = cJSON_CreateObject();
    if (!s->environment || !seen)
        return -ENOMEM;
    if (env_file.node && !yaml_is_null(env_file.node))
        r = take_env_files(&env_file, n, s);
    for (size_t i = 0; r >= 0 && environment.node && i < environment.node->n_items; i++) {
        Place item = place_child(&environment, i);

        r = take_entry(&item, n, s, seen);
    }
    if (r < 0)
        return r;
    if (cJSON_GetArraySize(s->environment) > ENV_KEYS_MAX)
        return place_fail(&environment, EMSGSIZE, "compose.bad-value", "more than %d variables", ENV_KEYS_MAX);
    members_sort(s->environment);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "compose/gather/travel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "env/dotenv.h"
#include "env/env-file.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"

#define PRIVATE_KEY "PRIVATE KEY-----"

int project_pack(const Gathered *g, BundlePack **ret, Error *err)
{
    _cleanup_(bundle_pack_freep) BundlePack *pack = g->n_files > 0 ? bundle_pack_new() : NULL;
    int r = g->n_files > 0 && !pack ? -ENOMEM : 0;

    for (size_t i = 0; r == 0 && i < g->n_files; i++)
        r = bundle_pack_add(pack, g->files[i].path, g->files[i].source, err);
    if (r == 0 && pack && bundle_pack_count(pack) > 0) /* folders alone, with nothing in them, are none */
        *ret = TAKE_PTR(pack);
    return r;
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* As a box finds it in what came: there, a folder is also one that only lies above a file. */
static bool is_found_in(const GatheredFile *f, const char *path, bool read_only)
{
    if (str_equal(path, f->path))
        return f->kind != GATHERED_FOLDER || read_only;
    return f->kind == GATHERED_FOLDER && is_below(path, f->path) ? true : read_only && is_below(f->path, path);
}

static int find_gathered(const char *path, bool read_only, char **ret, void *userdata, Error *err)
{
    const Gathered *g = userdata;

    (void) err;
    *ret = NULL;
    for (size_t i = 0; i < g->n_files; i++)
        if (is_found_in(&g->files[i], path, read_only)) {
            *ret = str_format("/%s", path);
            return *ret ? 0 : -ENOMEM;
        }
    return 0;
}

static bool has_gathered(const char *path, void *userdata)
{
    _cleanup_(freep) char *found = NULL;

    return find_gathered(path, false, &found, userdata, NULL) == 0 && found;
}

ComposeFiles project_files(const Gathered *g)
{
    return (ComposeFiles) { .find = find_gathered, .has = has_gathered, .userdata = (void *) (uintptr_t) g };
}

/* Path NULL: any. */
static bool holds(const Gathered *g, GatheredKind kind, const char *path)
{
    for (size_t i = 0; i < g->n_files; i++)
        if (g->files[i].kind == kind && (!path || str_equal(g->files[i].path, path)))
            return true;
    return false;
}

/* What cannot be read is refused where it is used. */
static int check_env_file(const char *path, const char *text, size_t len, Error *err)
{
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (dotenv_parse(text, len, path, &env, NULL) < 0)
        return 0;
    for (size_t i = 0; i < env_size(env); i++)
        if (!str_empty(env_value_at(env, i)) && redact_key_is_secret(env_key_at(env, i)))
            return error_set_at(err, EPERM, "gather.secret", path, env_line_at(env, i), env_key_at(env, i),
                                "%s looks like a secret, and a file that travels with a push passes through the cloud; "
                                "put the line into the box's secbox.env, and write `%s: ${%s}` under `environment`",
                                env_key_at(env, i), env_key_at(env, i), env_key_at(env, i));
    return 0;
}

bool project_has_secrets(const Gathered *g)
{
    return holds(g, GATHERED_SECRET, NULL);
}

static int refuse_secret(const char *path, Error *err)
{
    return error_set(
        err, EPERM, "gather.secret",
        "%s is a secret's file, and goes through the cloud only sealed for boxes that are known; "
        "take the secret from the boxes' secbox.env with `environment: VARIABLE`, or put the file on the boxes "
        "and name it by its absolute path",
        path);
}

/* One that is going to be sealed may hold anything. */
static int check_content(const Gathered *g, const char *path, const char *content, size_t len, Error *err)
{
    if (memmem(content, len, PRIVATE_KEY, strlen(PRIVATE_KEY)))
        return error_set(
            err, EPERM, "gather.secret",
            "%s holds a private key, and a file that travels with a push passes through the cloud; name it "
            "under `secrets`, or put it on the box and mount it from there by its absolute path",
            path);
    return holds(g, GATHERED_ENV_FILE, path) ? check_env_file(path, content, len, err) : 0;
}

int project_pack_check_open(const Gathered *g, const BundlePack *pack, bool seals, Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < bundle_pack_count(pack); i++) {
        const char *path = bundle_pack_path(pack, i);
        size_t len = 0;
        const char *content = bundle_pack_content(pack, i, &len);

        if (!holds(g, GATHERED_SECRET, path))
            r = check_content(g, path, content, len, err);
        else if (!seals)
            r = refuse_secret(path, err);
    }
    return r;
}

/* Whoever has it as something else, or mounts the folder that it is in, would get what is sealed. */
static int check_other_uses(const Gathered *g, const char *path, Error *err)
{
    for (size_t i = 0; i < g->n_files; i++) {
        const GatheredFile *f = &g->files[i];

        if (f->is_shared && str_equal(f->path, path))
            return error_set(err, EPERM, "gather.secret",
                             "%s is a secret's file, and a service also has it as an env_file, a config or a mount, "
                             "where it would arrive sealed; copy it, and name the copy under `secrets`",
                             path);
        if (f->kind == GATHERED_FOLDER && is_below(path, f->path))
            return error_set(err, EPERM, "gather.secret",
                             "%s is a secret's file, and lies in %s, which a service mounts; move it out of there",
                             path, f->path);
    }
    return 0;
}

int project_pack_seal(const Gathered *g, BundlePack *pack, const uint8_t key[static SEAL_KEY_SIZE], Error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < bundle_pack_count(pack); i++) {
        const char *path = bundle_pack_path(pack, i);
        size_t len = 0, sealed_len = 0;
        const char *content = bundle_pack_content(pack, i, &len);
        char *sealed = NULL;

        if (!holds(g, GATHERED_SECRET, path))
            continue;
        r = check_other_uses(g, path, err);
        if (r == 0)
            r = error_from_errno(err, seal_file(key, path, content, len, &sealed, &sealed_len), "seal %s", path);
        if (r == 0)
            bundle_pack_replace(pack, i, sealed, sealed_len);
    }
    return r;
}

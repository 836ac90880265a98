/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/made-files.h"

#include <errno.h>
#include <string.h>

#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/made-file.h"
#include "mgmt-agent/worker/phases/data-owner.h"

#define CONFIG_MODE 0444
#define SECRET_MODE 0400
#define SEALED_MAX (MADE_FILE_MAX + 64)

static void free_made(void *value)
{
    made_file_free(value);
}

static void hide(const char *content, size_t len)
{
    _cleanup_(secret_freep) char *line = strndup(content, len);

    redact_add_secret(content);
    for (size_t n = line ? strlen(line) : 0; n > 0 && strchr("\r\n \t", line[n - 1]);)
        line[--n] = '\0';
    if (line) /* programs leave the line's end off */
        redact_add_secret(line);
}

static int refuse_sealed(const char *path, Error *err)
{
    return error_set(
        err, EPERM, "bundle.sealed",
        "%s came sealed, since a secret has it as its file, and cannot be an env_file, a config or a mount "
        "besides; give the secret a copy of its own under another name, and push again",
        path);
}

int deploy_check_unsealed(const DeployTarget *t, const char *path, Error *err)
{
    _cleanup_(secret_freep) char *data = NULL;
    size_t len = 0;
    bool is_sealed = t->has_seal_key && kept_bundle_read_bytes(t->bundle, path, SEALED_MAX, &data, &len, NULL) == 0 &&
                     seal_is_sealed(data, len);

    return is_sealed ? refuse_sealed(path, err) : 0;
}

/* As it came along: sealed when it came through the cloud. */
static int read_file(const DeployTarget *t, const char *path, MadeFile *made, Error *err)
{
    _cleanup_(freep) char *data = NULL;
    size_t len = 0;
    int r = kept_bundle_read_bytes(t->bundle, path, SEALED_MAX, &data, &len, err);

    if (r < 0)
        return r;
    if (!seal_is_sealed(data, len)) {
        made->content = TAKE_PTR(data);
        made->len = len;
        return 0;
    }
    if (!made->is_secret)
        return refuse_sealed(path, err);
    r = t->has_seal_key ? seal_open_file(t->seal_key, path, data, len, &made->content, &made->len) : -ENOKEY;
    return r >= 0 || r == -ENOMEM
               ? r
               : error_set(err, -r, "bundle.sealed", "the secret %s came sealed, and %s; push again", path,
                           r == -ENOKEY ? "without its key" : "cannot be opened with the key that came with it");
}

static int read_content(const DeployTarget *t, const ComposeMadeFile *f, MadeFile *made, Error *err)
{
    if (!f->content)
        return read_file(t, f->path, made, err);
    made->content = strdup(f->content);
    made->len = strlen(f->content);
    return made->content ? 0 : -ENOMEM;
}

bool deploy_has_file(const char *path, void *userdata)
{
    const DeployTarget *t = userdata;

    return kept_bundle_find(t->bundle, path) == KEPT_FILE;
}

static int remember(DeployTarget *t, const char *path, MadeFile *made)
{
    int r;

    if (!t->made)
        t->made = map_new(free_made);
    r = t->made ? map_put(t->made, path, made) : -ENOMEM;
    if (r < 0)
        made_file_free(made);
    return r;
}

int deploy_make_file(const ComposeMadeFile *f, char **ret, void *userdata, Error *err)
{
    _cleanup_(made_file_freep) MadeFile *made = calloc(1, sizeof(*made));
    _cleanup_(freep) char *path = NULL;
    DeployTarget *t = userdata;
    int r;

    if (!made)
        return -ENOMEM;
    *made = (MadeFile) { .name = strdup(f->name),
                         /* whose a secret is depends on the service */
                         .service = f->is_secret ? strdup(f->service) : NULL,
                         .is_secret = f->is_secret,
                         .uid = f->uid,
                         .gid = f->gid,
                         .mode = f->mode };
    r = made->name && (made->service || !f->is_secret) ? read_content(t, f, made, err) : -ENOMEM;
    if (r == 0 && f->is_secret)
        hide(made->content, made->len);
    if (r == 0)
        r = made_file_path(made, &path, err);
    if (r == 0)
        r = remember(t, path, TAKE_PTR(made));
    if (r == 0)
        *ret = TAKE_PTR(path);
    return r;
}

bool deploy_makes(const DeployTarget *t, const char *source)
{
    return t->made && map_get(t->made, source);
}

/* A secret is its service's user's alone. Who that is, where the user is a name, only the image knows: then all users in the
 * container may read it, which are that service's, and nobody else on the host can get there. */
static int find_owner(const Box *box, const DeployTarget *t, const ComposeService *s, const MadeFile *f, DataOwner *ret,
                      Error *err)
{
    uint32_t uid = f->uid > 0 ? (uint32_t) f->uid : 0, gid = f->gid > 0 ? (uint32_t) f->gid : 0;

    if (f->uid >= 0 || f->gid >= 0)
        return deploy_owner_of(box, s, uid, gid, ret, err);
    if (f->is_secret)
        return deploy_data_owner(box, t, s, ret, err);
    return deploy_owner_of(box, s, 0, 0, ret, err);
}

int deploy_check_made(const Box *box, const DeployTarget *t, const ComposeService *s, const char *source, Error *err)
{
    const MadeFile *f = t->made ? map_get(t->made, source) : NULL;
    DataOwner unused;

    return f ? find_owner(box, t, s, f, &unused, err) : 0;
}

static int write_one(const Box *box, const DeployTarget *t, const ComposeService *s, const char *path,
                     const MadeFile *f, Error *err)
{
    DataOwner owner;
    mode_t mode = f->mode >= 0 ? (mode_t) f->mode : f->is_secret ? SECRET_MODE : CONFIG_MODE;
    int r = find_owner(box, t, s, f, &owner, err);

    if (r == 0 && owner.is_named && f->mode < 0)
        mode = CONFIG_MODE;
    return r < 0 ? r : made_file_write(f, path, mode, owner.uid, owner.gid, box->user.gid, err);
}

int deploy_write_made(const Box *box, const DeployTarget *t, const ComposeService *s, Error *err)
{
    const cJSON *volume;
    int r = 0;

    cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
        const char *source = json_string(volume, "source");
        const MadeFile *f = source && t->made ? map_get(t->made, source) : NULL;

        if (r == 0 && f)
            r = write_one(box, t, s, source, f, err);
    }
    return r;
}

/* SPDX-License-Identifier: MIT */
/* Which files beside it the one compose file names. What a service writes to is data, and data is the box's: a folder goes along
 * only when nobody may write to it. A file always does, since nothing else could be meant by naming it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/gather/gather-impl.h"
#include "lib/base/strv.h"

#define MODE_BITS 0777

static GatheredFile *find_file(const Gathered *out, const char *path)
{
    for (size_t i = 0; i < out->n_files; i++)
        if (str_equal(out->files[i].path, path))
            return &out->files[i];
    return NULL;
}

static int add(Gathered *out, const char *path, const char *source, GatheredKind kind, mode_t mode)
{
    GatheredFile *files = reallocarray(out->files, out->n_files + 1, sizeof(*files));
    GatheredFile file = { .path = strdup(path), .source = strdup(source), .kind = kind, .mode = mode & MODE_BITS };

    out->files = files ? files : out->files;
    if (!files || !file.path || !file.source) {
        free(file.path);
        free(file.source);
        return -ENOMEM;
    }
    files[out->n_files++] = file;
    return 0;
}

/* A path that a variable decides is the box's to know, one above the project's folder is in no bundle. */
static bool is_inside(const char *path)
{
    return *path && !str_equal(path, "..") && !str_starts(path, "../") && *path != '/';
}

/* Nothing is an error here: what is not there may be on the box, which says so when it is not. */
static int name_file(Gathering *g, const char *value, GatheredKind kind)
{
    _cleanup_(freep) char *path = NULL, *source = NULL;
    mode_t mode = 0;

    if (str_empty(value) || *value == '/' || *value == '~' || strchr(value, '$'))
        return 0;
    path = gather_join("", value);
    source = path ? gather_join(g->base, path) : NULL;
    if (!source)
        return -ENOMEM;
    if (!is_inside(path) || g->source->look(source, &mode, g->source->userdata) < 0)
        return 0;
    if (S_ISDIR(mode) ? kind != GATHERED_FOLDER : !S_ISREG(mode))
        return 0;
    if (kind == GATHERED_FOLDER && S_ISREG(mode))
        kind = GATHERED_FILE;
    GatheredFile *there = find_file(g->result, path);
    if (!there)
        return add(g->result, path, source, kind, mode);
    if (kind != there->kind && (kind == GATHERED_SECRET || there->kind == GATHERED_SECRET))
        there->is_shared = true;
    /* the more careful kind of the two */
    if (kind == GATHERED_SECRET || (kind == GATHERED_ENV_FILE && there->kind != GATHERED_SECRET))
        there->kind = kind;
    return 0;
}

static int name_env_files(Gathering *g, const YamlNode *files)
{
    int r = 0;

    if (files && files->type == YAML_SCALAR)
        return name_file(g, files->value, GATHERED_ENV_FILE);
    for (size_t i = 0; files && r == 0 && i < files->n_items; i++) {
        const YamlNode *item = files->items[i], *path = item->type == YAML_SCALAR ? item : yaml_get(item, "path");

        r = path ? name_file(g, path->value, GATHERED_ENV_FILE) : 0;
    }
    return r;
}

/* Of what is granted to a service: the file in the definition of that name. */
static int name_grants(Gathering *g, const YamlNode *grants, const YamlNode *section, GatheredKind kind)
{
    int r = 0;

    for (size_t i = 0; grants && r == 0 && i < grants->n_items; i++) {
        const YamlNode *item = grants->items[i], *name = item->type == YAML_SCALAR ? item : yaml_get(item, "source");
        const YamlNode *file = name && name->value ? yaml_get(yaml_get(section, name->value), "file") : NULL;

        r = file ? name_file(g, file->value, kind) : 0;
    }
    return r;
}

/* "SOURCE:TARGET:OPTIONS" with `ro` among them. */
static bool text_is_read_only(const char *text)
{
    const char *target = strchr(text, ':'), *options = target ? strrchr(target + 1, ':') : NULL;

    for (const char *word = options ? options + 1 : ""; *word; word += strcspn(word, ",") + (strchr(word, ',') != NULL))
        if (strcspn(word, ",") == 2 && strncmp(word, "ro", 2) == 0)
            return true;
    return false;
}

/* The relative source of a bind mount: a new string. NULL, when it has none or there is no memory. */
static char *mount_source(const YamlNode *mount, bool *ret_read_only)
{
    const YamlNode *type = yaml_get(mount, "type"), *source = yaml_get(mount, "source");
    const YamlNode *read_only = yaml_get(mount, "read_only");

    *ret_read_only = false;
    if (mount->type == YAML_SCALAR) {
        const char *text = mount->value ? mount->value : "";

        *ret_read_only = text_is_read_only(text);
        return *text == '.' && strchr(text, ':') ? strndup(text, strcspn(text, ":")) : NULL;
    }
    if (read_only)
        (void) yaml_is_bool(read_only, ret_read_only);
    return type && str_equal(type->value, "bind") && source && source->value ? strdup(source->value) : NULL;
}

static int name_mounts(Gathering *g, const YamlNode *mounts)
{
    int r = 0;

    for (size_t i = 0; mounts && r == 0 && i < mounts->n_items; i++) {
        bool read_only;
        _cleanup_(freep) char *source = mount_source(mounts->items[i], &read_only);

        r = source ? name_file(g, source, read_only ? GATHERED_FOLDER : GATHERED_FILE) : 0;
    }
    return r;
}

static bool runs(const YamlNode *service)
{
    const YamlNode *profiles = yaml_get(service, "profiles");

    return !profiles || profiles->n_items == 0;
}

static void drop(Gathered *out, size_t i)
{
    free(out->files[i].path);
    free(out->files[i].source);
    memmove(&out->files[i], &out->files[i + 1], (--out->n_files - i) * sizeof(*out->files));
}

static bool is_in_folder(const char *path, const GatheredFile *folder)
{
    size_t len = strlen(folder->path);

    return folder->kind == GATHERED_FOLDER && strncmp(path, folder->path, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

/* A folder that a service writes to, or into another one in it, is data after all. A file needs no `:ro` to be sent. */
static int drop_written(Gathered *out, const YamlNode *service)
{
    const YamlNode *mounts = yaml_get(service, "volumes");

    for (size_t i = 0; mounts && i < mounts->n_items; i++) {
        bool read_only;
        _cleanup_(freep) char *source = mount_source(mounts->items[i], &read_only);
        _cleanup_(freep) char *path = source ? gather_join("", source) : NULL;

        if (source && !path)
            return -ENOMEM;
        const GatheredFile *file = path ? find_file(out, path) : NULL;
        if (file && file->kind != GATHERED_FOLDER)
            continue;
        for (size_t k = path && !read_only ? out->n_files : 0; k-- > 0;)
            if (is_in_folder(path, &out->files[k]))
                drop(out, k);
    }
    return 0;
}

static bool comes_with_a_folder(const Gathered *out, const GatheredFile *file)
{
    for (size_t i = 0; i < out->n_files; i++)
        if (&out->files[i] != file && is_in_folder(file->path, &out->files[i]))
            return true;
    return false;
}

/* What comes with a folder needs no entry of its own, unless it is to be handled with more care. */
static void drop_what_folders_hold(Gathered *out)
{
    for (size_t i = out->n_files; i-- > 0;)
        if (out->files[i].kind != GATHERED_SECRET && out->files[i].kind != GATHERED_ENV_FILE &&
            comes_with_a_folder(out, &out->files[i]))
            drop(out, i);
}

int gather_named_files(Gathering *g, const YamlNode *root)
{
    const YamlNode *services = yaml_get(root, "services");
    const YamlNode *configs = yaml_get(root, "configs"), *secrets = yaml_get(root, "secrets");
    int r = 0;

    for (size_t i = 0; g->source->look && services && r == 0 && i < services->n_items; i++) {
        const YamlNode *service = services->items[i];

        if (!runs(service))
            continue;
        r = name_env_files(g, yaml_get(service, "env_file"));
        if (r == 0)
            r = name_grants(g, yaml_get(service, "configs"), configs, GATHERED_CONFIG);
        if (r == 0)
            r = name_grants(g, yaml_get(service, "secrets"), secrets, GATHERED_SECRET);
        if (r == 0)
            r = name_mounts(g, yaml_get(service, "volumes"));
    }
    for (size_t i = 0; services && r == 0 && i < services->n_items; i++)
        r = runs(services->items[i]) ? drop_written(g->result, services->items[i]) : 0;
    drop_what_folders_hold(g->result);
    return r;
}

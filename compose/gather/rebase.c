/* SPDX-License-Identifier: MIT */
/* Paths that begin with "." are relative; others name volumes, or begin at the root. */
#include <errno.h>
#include <string.h>

#include "compose/gather/gather-impl.h"
#include "compose/gather/tree.h"
#include "lib/base/strv.h"

/* Takes the last component off, unless there is none to take, or it is "..". */
static bool drop_last(char *path)
{
    char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;

    if (str_equal(path, "/"))
        return true;
    if (!*last || str_equal(last, ".."))
        return false;
    *(slash && slash > path ? slash : slash ? slash + 1 : path) = '\0';
    return true;
}

/* Component by component; there is room in `out`. */
static void go(char *out, const char *path)
{
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        size_t len = strlen(out);
        bool is_up = n == 2 && p[0] == '.' && p[1] == '.';

        if (n > 0 && !(n == 1 && *p == '.') && !(is_up && drop_last(out))) {
            if (len > 0 && out[len - 1] != '/')
                out[len++] = '/';
            memcpy(out + len, p, n);
            out[len + n] = '\0';
        }
        p += n;
        p += strspn(p, "/");
    }
}

char *gather_join(const char *folder, const char *path)
{
    bool absolute = *path == '/';
    char *out = calloc(1, strlen(folder) + strlen(path) + 4);

    if (!out)
        return NULL;
    if (absolute || *folder == '/')
        *out = '/';
    if (!absolute)
        go(out, folder);
    go(out, path);
    return out;
}

/* How long a beginning they have in common, in whole components and with the slash behind it. */
static size_t common_length(const char *a, const char *b)
{
    size_t n = 0;

    for (size_t i = 0;; i++) {
        bool a_ends = !a[i] || a[i] == '/', b_ends = !b[i] || b[i] == '/';

        if (a_ends && b_ends)
            n = i + (a[i] == '/' && b[i] == '/');
        if (!a[i] || a[i] != b[i])
            return n;
    }
}

int gather_relative(const char *from, const char *to, char **ret)
{
    _cleanup_(freep) char *ups = NULL;
    size_t n = common_length(from, to), n_ups = 0;
    const char *rest = from + n;

    if (*to == '/' && *from != '/') {
        *ret = strdup(to);
        return *ret ? 0 : -ENOMEM;
    }
    rest += *rest == '/';
    if ((*from == '/' && *to != '/') || str_equal(rest, "..") || str_starts(rest, "../"))
        return -EXDEV;
    ups = calloc(1, strlen(rest) * 3 + 4);
    for (const char *p = rest; ups && *p; p += strcspn(p, "/"), p += *p == '/')
        memcpy(ups + 3 * n_ups++, "../", 3);
    const char *down = to + n + (to[n] == '/');
    *ret = ups ? gather_join(ups, *down ? down : ".") : NULL;
    return *ret ? 0 : -ENOMEM;
}

int gather_way(const char *from, const char *to, const char *path, char **ret, Error *err)
{
    int r = gather_relative(from, to, ret);

    return r != -EXDEV
               ? r
               : error_set(err, EXDEV, "gather.folder",
                           "%s: what its relative paths are from the project's folder (%s) is not known: name all "
                           "files from one folder, or all by their whole paths",
                           path, from);
}

char *gather_folder(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup("");
    return slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
}

/* With "./" in front, where the path could be taken for a volume's name. */
static int rebase_scalar(YamlNode *node, const char *folder, bool only_dotted)
{
    const char *value = node && node->type == YAML_SCALAR ? node->value : NULL;
    size_t len = value ? strcspn(value, ":") : 0;

    if (!value || !*value || *value == '/' || *value == '~' || *value == '$' || (only_dotted && *value != '.'))
        return 0;
    _cleanup_(freep) char *path = strndup(value, only_dotted ? len : strlen(value));
    _cleanup_(freep) char *joined = path ? gather_join(folder, path) : NULL;
    bool dotted = joined && (*joined == '.' || *joined == '/');
    _cleanup_(freep) char *text =
        joined ? str_format("%s%s%s", dotted ? "" : "./", joined, only_dotted ? value + len : "") : NULL;

    return text ? tree_set_value(node, text) : -ENOMEM;
}

static int rebase_mounts(YamlNode *mounts, const char *folder)
{
    int r = 0;

    for (size_t i = 0; mounts && r == 0 && i < mounts->n_items; i++) {
        YamlNode *item = mounts->items[i];
        const YamlNode *type = yaml_get(item, "type");

        if (item->type == YAML_SCALAR && strchr(item->value ? item->value : "", ':'))
            r = rebase_scalar(item, folder, true);
        else if (type && str_equal(type->value, "bind"))
            r = rebase_scalar(tree_get(item, "source"), folder, false);
    }
    return r;
}

static int rebase_env_files(YamlNode *files, const char *folder)
{
    int r = files && files->type == YAML_SCALAR ? rebase_scalar(files, folder, false) : 0;

    for (size_t i = 0; files && r == 0 && i < files->n_items; i++)
        r = files->items[i]->type == YAML_SCALAR ? rebase_scalar(files->items[i], folder, false)
                                                 : rebase_scalar(tree_get(files->items[i], "path"), folder, false);
    return r;
}

int gather_rebase_service(YamlNode *service, const char *folder)
{
    int r = rebase_mounts(tree_get(service, "volumes"), folder);

    return r < 0 ? r : rebase_env_files(tree_get(service, "env_file"), folder);
}

int gather_rebase(YamlNode *root, const char *folder)
{
    static const char *const sections[] = { "configs", "secrets" };
    YamlNode *services = tree_get(root, "services");
    int r = 0;

    for (size_t i = 0; services && r == 0 && i < services->n_items; i++)
        r = gather_rebase_service(services->items[i], folder);
    for (size_t k = 0; r == 0 && k < ELEMENTSOF(sections); k++) {
        YamlNode *section = tree_get(root, sections[k]);

        for (size_t i = 0; section && r == 0 && i < section->n_items; i++)
            r = rebase_scalar(tree_get(section->items[i], "file"), folder, false);
    }
    return r;
}

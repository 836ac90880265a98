/* SPDX-License-Identifier: MIT */
/* A file that is included has values and a folder of its own; what it declares is taken over, and may not be there already. */
#include <errno.h>
#include <string.h>

#include "compose/gather/gather-impl.h"
#include "compose/gather/merge.h"
#include "compose/gather/tree.h"
#include "lib/base/strv.h"

static const char *const sections[] = { "services", "networks", "volumes", "configs", "secrets" };

static bool is_equal(const YamlNode *a, const YamlNode *b)
{
    if (a->type != b->type || a->n_items != b->n_items || !str_equal(a->value, b->value))
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (!str_equal(a->items[i]->key, b->items[i]->key) || !is_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

static int take_over(YamlNode *root, YamlNode *from, const char *section, const YamlNode *at, const char *path,
                     Error *err)
{
    YamlNode *there = tree_get(root, section), *what = tree_get(from, section);

    if (!what || what->type != YAML_MAPPING)
        return 0;
    if (!there || there->type != YAML_MAPPING) {
        if (tree_set(root, section, tree_new(YAML_MAPPING, NULL, what)) < 0)
            return -ENOMEM;
        there = tree_get(root, section);
    }
    for (size_t i = 0; i < what->n_items; i++) {
        const YamlNode *item = what->items[i], *present = yaml_get(there, item->key);

        if (present && !is_equal(present, item))
            return error_set_at(err, EEXIST, "gather.conflict", path, at->line, NULL,
                                "what is included declares \"%.128s\" in %s, as this file does: only one of them can",
                                item->key, section);
        if (!present && tree_add(there, yaml_node_copy(item)) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* A path, or a list of paths, each put over the one before. */
static int load_paths(Gathering *g, const char *folder, const YamlNode *paths, YamlNode **ret, Error *err)
{
    size_t n = paths->type == YAML_SEQUENCE ? paths->n_items : 1;

    for (size_t i = 0; i < n; i++) {
        const YamlNode *item = paths->type == YAML_SEQUENCE ? paths->items[i] : paths;
        _cleanup_(freep) char *path = item->value ? gather_join(folder, item->value) : strdup("");
        int r = path ? gather_load_over(g, path, ret, err) : -ENOMEM;

        if (r < 0)
            return r;
    }
    return 0;
}

/* What is included, with the values of its env files; of several the later goes before. Without any, of .env in `own`. */
static int load_with_values(Gathering *g, const char *folder, const char *own, const YamlNode *paths,
                            const YamlNode *env_files, size_t n, YamlNode **ret, Error *err)
{
    _cleanup_(gather_scope_done) ValueScope scope = { .outer = g->scope };
    const YamlNode *file = n == 0 ? NULL : env_files->type == YAML_SEQUENCE ? env_files->items[n - 1] : env_files;
    _cleanup_(freep) char *env = file ? gather_join(folder, file->value ? file->value : "") : gather_join(own, ".env");
    int r = env ? gather_scope(g, env, file != NULL, &scope, err) : -ENOMEM;

    if (r < 0)
        return r;
    g->scope = &scope;
    r = n > 1 ? load_with_values(g, folder, own, paths, env_files, n - 1, ret, err)
              : load_paths(g, folder, paths, ret, err);
    g->scope = scope.outer;
    return r;
}

static int include_one(Gathering *g, YamlNode *root, const char *path, const YamlNode *entry, Error *err)
{
    const YamlNode *paths = entry->type == YAML_MAPPING ? yaml_get(entry, "path") : entry;
    const YamlNode *directory = yaml_get(entry, "project_directory"), *env_file = yaml_get(entry, "env_file");
    const YamlNode *first_path = paths && paths->type == YAML_SEQUENCE && paths->n_items > 0 ? paths->items[0] : paths;
    _cleanup_(yaml_node_freep) YamlNode *tree = NULL;
    _cleanup_(freep) char *folder = gather_folder(path), *first = NULL, *own = NULL, *way = NULL;
    size_t n_env = !env_file || yaml_is_null(env_file) ? 0 : env_file->type == YAML_SEQUENCE ? env_file->n_items : 1;
    const char *base = g->base;

    if (!first_path || str_empty(first_path->value))
        return error_set_at(err, EINVAL, "gather.include", path, entry->line, NULL, "`include` names no file");
    first = folder ? gather_join(folder, first_path->value) : NULL;
    own = !first ? NULL : directory && directory->value ? gather_join(folder, directory->value) : gather_folder(first);
    if (!own)
        return -ENOMEM;
    g->base = own;
    int r = load_with_values(g, folder, own, paths, env_file, n_env, &tree, err);
    g->base = base;
    if (r == 0)
        r = gather_way(base, own, first, &way, err);
    if (r == 0)
        (void) tree_apply_tags(tree);
    if (r == 0 && *way)
        r = gather_rebase(tree, way);
    for (size_t i = 0; r == 0 && i < ELEMENTSOF(sections); i++)
        r = take_over(root, tree, sections[i], entry, path, err);
    return r;
}

int gather_include(Gathering *g, YamlNode *root, const char *path)
{
    _cleanup_(yaml_node_freep) YamlNode *include = tree_take(root, "include");
    size_t n = !include ? 0 : include->type == YAML_SEQUENCE ? include->n_items : 1;
    int r = 0;

    if (include)
        g->changed = true;
    for (size_t i = 0; r == 0 && i < n; i++) {
        const YamlNode *entry = include->type == YAML_SEQUENCE ? include->items[i] : include;
        _cleanup_(error_done) Error why = {};

        r = include_one(g, root, path, entry, &why);
        gather_place(r < 0 ? &why : NULL, path, entry);
        r = r < 0 ? gather_fault(g, &why, r) : 0;
    }
    return r;
}

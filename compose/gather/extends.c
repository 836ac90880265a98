/* SPDX-License-Identifier: MIT */
/* What a service extends is written out, and the service put over it. */
#include <errno.h>

#include "compose/gather/gather-impl.h"
#include "compose/gather/merge.h"
#include "compose/gather/tree.h"
#include "lib/base/strv.h"

#define DEPTH_MAX 32

static int fail(const char *path, const YamlNode *at, Error *err, const char *id, const char *what, const char *name)
{
    return error_set_at(err, EINVAL, id, path, at->key_line ? at->key_line : at->line, NULL, "%s \"%.128s\"", what,
                        name);
}

static int resolve(Gathering *g, YamlNode *root, const char *path, YamlNode *service, unsigned depth, Error *err);

/* Of a service from another file, whose paths are from its folder. */
static int resolve_there(Gathering *g, YamlNode *root, const char *path, YamlNode *service, unsigned depth, Error *err)
{
    _cleanup_(freep) char *folder = gather_folder(path), *way = NULL;
    const char *base = g->base;

    if (!folder)
        return -ENOMEM;
    g->base = folder;
    int r = resolve(g, root, path, service, depth, err);
    g->base = base;
    if (r == 0)
        r = gather_way(base, folder, path, &way, err);
    return r < 0 || !*way ? r : gather_rebase_service(service, way);
}

/* The service that is extended, whole, with its paths as the extending file would write them; to be freed. */
static int find_base(Gathering *g, YamlNode *root, const char *path, const YamlNode *extends, unsigned depth,
                     YamlNode **ret, Error *err)
{
    const YamlNode *file = yaml_get(extends, "file"), *name = yaml_get(extends, "service");
    const char *wanted = extends->type == YAML_SCALAR ? extends->value : name ? name->value : NULL;
    _cleanup_(yaml_node_freep) YamlNode *other = NULL, *copy = NULL;
    _cleanup_(freep) char *folder = gather_folder(path), *there = NULL;
    int r = folder ? 0 : -ENOMEM;

    if (str_empty(wanted))
        return fail(path, extends, err, "gather.extends", "`extends` names no service", "");
    if (r == 0 && file && file->value) {
        there = gather_join(folder, file->value);
        r = there ? gather_read(g, there, &other, err) : -ENOMEM;
        if (r < 0)
            gather_place(err, path, extends);
    }
    if (r < 0)
        return r;
    YamlNode *base = tree_get(tree_get(other ? other : root, "services"), wanted);
    if (!base || base->type != YAML_MAPPING)
        return fail(path, extends, err, "gather.extends", "`extends` names a service that is not there:", wanted);
    copy = yaml_node_copy(base);
    r = !copy   ? -ENOMEM
        : other ? resolve_there(g, other, there, copy, depth + 1, err)
                : resolve(g, root, path, copy, depth + 1, err);
    if (r == 0)
        *ret = TAKE_PTR(copy);
    return r;
}

/* The service itself stays where it is. */
static int put_over(YamlNode *base, YamlNode *service)
{
    YamlNode **items = service->items;
    size_t n = service->n_items;

    (void) tree_apply_tags(base);
    int r = compose_merge(base, service, "services.*");
    if (r < 0)
        return r;
    service->items = base->items;
    service->n_items = base->n_items;
    base->items = items;
    base->n_items = n;
    return 0;
}

static int resolve(Gathering *g, YamlNode *root, const char *path, YamlNode *service, unsigned depth, Error *err)
{
    const YamlNode *extends = yaml_get(service, "extends");
    _cleanup_(yaml_node_freep) YamlNode *base = NULL;
    GatherFrame frame = { .file = path, .service = service->key };
    const GatherFrame *outer = g->frames;

    if (!extends)
        return 0;
    g->changed = true;
    int r = gather_enter(g, &frame, "services extend", err);
    if (r < 0)
        return r;
    if (depth > DEPTH_MAX)
        r = error_set(err, ELOOP, "gather.cycle", "services extend each other more than %d deep", DEPTH_MAX);
    else
        r = find_base(g, root, path, extends, depth, &base, err);
    g->frames = outer;
    gather_place(r < 0 ? err : NULL, path, extends);
    /* it stays until then, so that a circle is seen */
    yaml_node_free(tree_take(service, "extends"));
    if (r == 0)
        r = put_over(base, service);
    return r;
}

int gather_extends(Gathering *g, YamlNode *root, const char *path)
{
    YamlNode *services = tree_get(root, "services");
    int r = 0;

    for (size_t i = 0; services && r == 0 && i < services->n_items; i++) {
        _cleanup_(error_done) Error why = {};

        r = resolve(g, root, path, services->items[i], 0, &why);
        r = r < 0 ? gather_fault(g, &why, r) : 0;
    }
    return r;
}

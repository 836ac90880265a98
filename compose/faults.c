/* SPDX-License-Identifier: MIT */
#include "compose/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/model/service-key.h"
#include "compose/parse/parse-impl.h"
#include "compose/parse/schema.h"
#include "compose/parse/tree-path.h"
#include "compose/policy/policy.h"
#include "compose/precheck.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

/* more would not be read */
#define FAULTS_MAX 100
#define SOME_IMAGE "localhost/unknown"

static void remove_item(YamlNode *parent, size_t index)
{
    yaml_node_free(parent->items[index]);
    memmove(&parent->items[index], &parent->items[index + 1], (parent->n_items - index - 1) * sizeof(parent->items[0]));
    parent->n_items--;
}

static int add_image(YamlNode *service)
{
    YamlNode **items = reallocarray(service->items, service->n_items + 1, sizeof(*items));
    YamlNode *image = calloc(1, sizeof(*image));

    service->items = items ? items : service->items;
    if (image)
        *image = (YamlNode) { .type = YAML_SCALAR,
                              .line = service->line,
                              .key_line = service->key_line,
                              .key = strdup("image"),
                              .value = strdup(SOME_IMAGE) };
    if (!items || !image || !image->key || !image->value) {
        yaml_node_free(image);
        return -ENOMEM;
    }
    service->items[service->n_items++] = image;
    return 0;
}

/* A key of a service that is misspelt is taken for the one that is meant, so that what it says is looked at, too. */
static bool correct_key(YamlNode *service, YamlNode *member)
{
    const char *meant = schema_nearest_key(compose_service_keys, member->key);
    char *copy = meant && !yaml_get(service, meant) ? strdup(meant) : NULL;

    if (!copy)
        return false;
    free(member->key);
    member->key = copy;
    return true;
}

/* A service or definition stays under its name, since others may need it, with nothing in it that could be wrong. */
static int empty_definition(YamlNode *node, bool service)
{
    while (node->n_items > 0)
        remove_item(node, node->n_items - 1);
    free(node->value);
    free(node->items);
    node->value = NULL;
    node->items = NULL;
    node->type = YAML_MAPPING;
    return service ? add_image(node) : 0;
}

/* Takes out what the path names, or as much of it as there is; what is only missing is put in. False: nothing can be done. */
static int take_out(YamlNode *root, const char *id, const char *path, bool *ret_done)
{
    YamlNode *parents[YAML_DEPTH_MAX + 2] = { root };
    size_t indices[YAML_DEPTH_MAX + 2], depth = 0;

    *ret_done = false;
    while (*path && depth <= YAML_DEPTH_MAX) {
        size_t i = tree_path_step(parents[depth], path, &path);

        if (i == parents[depth]->n_items)
            break;
        indices[depth] = i;
        parents[depth + 1] = parents[depth]->items[i];
        depth++;
    }
    if (depth == 0 || (depth == 1 && (str_equal(parents[1]->key, "services") || *path)))
        return 0;
    *ret_done = true;
    if (depth == 2 && str_equal(id, "compose.no-image") && parents[2]->type == YAML_MAPPING)
        return add_image(parents[2]);
    if (depth == 2 && parents[1]->type == YAML_MAPPING)
        return empty_definition(parents[2], str_equal(parents[1]->key, "services"));
    if (depth == 3 && str_equal(parents[1]->key, "services") && str_equal(parents[3]->key, "image")) {
        remove_item(parents[2], indices[2]);
        return add_image(parents[2]); /* or it would be missed next */
    }
    if (depth != 3 || !str_equal(id, "compose.unknown-key") || !str_equal(parents[1]->key, "services") ||
        !correct_key(parents[2], parents[3]))
        remove_item(parents[depth - 1], indices[depth - 1]);
    return 0;
}

static int look_at_policy(const ComposeFile *file, ComposeFaults *faults, ErrorList *never)
{
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    int r = policy_parse(NULL, 0, NULL, &policy, NULL);

    return r < 0 ? r : compose_policy_find_all(file, policy, &faults->policy, never, &faults->allowing);
}

/* Whether the parser, which knows more of it, names the same place. */
static bool is_named(const ErrorList *list, const Error *e)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].line == e->line && str_equal(list->items[i].key, e->key))
            return true;
    return false;
}

static int add_unnamed(ErrorList *list, ErrorList *others)
{
    size_t named = list->n;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < others->n; i++)
        if (!is_named(&(ErrorList) { list->items, named }, &others->items[i]))
            r = error_list_take(list, &others->items[i]);
    return r;
}

/* One look at the whole: 0 when nothing is found, 1 with the fault in *err. */
static int look(const YamlNode *root, const char *name, const ComposeFiles *files, bool *policy_seen,
                ComposeFaults *faults, ErrorList *never, Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *file = NULL;
    YamlNode *copy = yaml_node_copy(root);
    int r = copy ? compose_parse_tree(copy, name, &file, err) : -ENOMEM;

    if (r >= 0 && !*policy_seen) {
        *policy_seen = true;
        r = look_at_policy(file, faults, never);
        if (r < 0)
            return r;
    }
    if (r >= 0)
        r = compose_precheck_file(file, files, err);
    return r < 0 && r != -ENOMEM ? 1 : r;
}

static bool is_known(const ErrorList *list, const Error *e)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_equal(list->items[i].id, e->id) && str_equal(list->items[i].key, e->key) &&
            list->items[i].line == e->line)
            return true;
    return false;
}

static int find_all(YamlNode *root, const char *name, const ComposeFiles *files, ComposeFaults *faults,
                    ErrorList *never)
{
    bool policy_seen = false, more = true;

    while (more) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *path = NULL;
        const char *id;
        int r = look(root, name, files, &policy_seen, faults, never, &err);

        if (r <= 0)
            return r;
        if (is_known(&faults->refused, &err))
            return 0;
        faults->more = faults->refused.n == FAULTS_MAX;
        if (faults->more)
            return 0;
        id = err.id;
        path = err.key ? strdup(err.key) : NULL;
        r = error_list_take(&faults->refused, &err);
        if (r < 0)
            return r;
        more = false;
        if (path)
            r = take_out(root, id, path, &more);
        if (r < 0)
            return r;
    }
    return 0;
}

static int look_at_engine(const YamlNode *root, const char *name, const ComposeFiles *files, Error *ret)
{
    _cleanup_(compose_file_freep) ComposeFile *file = NULL;
    YamlNode *copy = yaml_node_copy(root);
    int r = copy ? compose_parse_tree(copy, name, &file, NULL) : -ENOMEM;

    if (r >= 0)
        r = compose_precheck_podman_compose(file, files, ret);
    return r == -ENOMEM ? r : 0;
}

int compose_find_faults(const char *text, size_t len, const char *file, const ComposeFiles *files, ComposeFaults *ret)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    _cleanup_(error_list_done) ErrorList never = {};
    _cleanup_(error_done) Error err = {};
    int r = yaml_parse(text, len, file, &root, &err);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return error_list_take(&ret->refused, &err);
    r = find_all(root, file, files, ret, &never);
    if (r >= 0)
        r = add_unnamed(&ret->refused, &never);
    if (r >= 0 && ret->refused.n == 0)
        r = look_at_engine(root, file, files, &ret->engine);
    error_list_sort(&ret->refused);
    error_list_sort(&ret->policy);
    return r;
}

void compose_faults_done(ComposeFaults *f)
{
    error_list_done(&f->refused);
    error_list_done(&f->policy);
    error_done(&f->engine);
    cJSON_Delete(f->allowing);
    f->allowing = NULL;
}

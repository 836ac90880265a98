/* SPDX-License-Identifier: MIT */
/* Checks a tree against the tables of schema.c. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "compose/parse/schema.h"
#include "lib/base/strv.h"

#define HINT_KEY_MAX 24
#define HINT_DISTANCE_MAX 2

/* Letters to add, drop, change or swap with a neighbour to get from one word to the other. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t d[HINT_KEY_MAX + 1][HINT_KEY_MAX + 1];

    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *schema_nearest_key(const ComposeKey *table, const char *key)
{
    size_t best = SIZE_MAX, n = strlen(key);
    const char *nearest = NULL;

    if (n > HINT_KEY_MAX)
        return NULL;
    for (; table->key; table++) {
        size_t m = strlen(table->key), distance;

        if (m > HINT_KEY_MAX)
            continue;
        distance = edit_distance(key, n, table->key, m);
        if (distance <= HINT_DISTANCE_MAX && distance < m && distance < best) {
            best = distance;
            nearest = table->key;
        }
    }
    return nearest;
}

static const ComposeKey *find_key(const ComposeKey *table, const char *key)
{
    for (; table->key; table++)
        if (str_equal(table->key, key))
            return table;
    return NULL;
}

static void drop_extensions(YamlNode *node)
{
    size_t n = 0;

    for (size_t i = 0; i < node->n_items; i++) {
        if (str_starts(node->items[i]->key, "x-"))
            yaml_node_free(node->items[i]);
        else
            node->items[n++] = node->items[i];
    }
    node->n_items = n;
}

static unsigned node_shape(const YamlNode *node)
{
    if (node->type == YAML_SEQUENCE)
        return SHAPE_LIST;
    if (node->type == YAML_MAPPING)
        return SHAPE_MAP;
    return yaml_is_null(node) ? SHAPE_NULL : SHAPE_TEXT;
}

static int fail_type(const Place *at, unsigned found, unsigned allowed)
{
    static const char *const names[] = {
        [SHAPE_TEXT] = "text", [SHAPE_LIST] = "a list", [SHAPE_MAP] = "a mapping", [SHAPE_NULL] = "nothing"
    };
    const char *a = allowed & SHAPE_TEXT ? "text" : NULL;
    const char *b = allowed & SHAPE_LIST ? "a list" : NULL;
    const char *c = allowed & SHAPE_MAP ? "a mapping" : NULL;

    return place_fail(at, EINVAL, "compose.bad-type", "this is %s where %s%s%s%s%s is expected", names[found],
                      a ? a : "", a && (b || c) ? " or " : "", b ? b : "", b && c ? " or " : "", c ? c : "");
}

static int check_member(const ComposeKey *table, const Place *at, const ComposeKey **ret)
{
    const ComposeKey *key = find_key(table, at->key);
    const char *nearest;

    if (key && key->unsupported)
        return place_fail(at, EINVAL, "compose.unsupported-key", "`%s` is not accepted: %s", at->key, key->unsupported);
    if (key) {
        *ret = key;
        return 0;
    }
    nearest = schema_nearest_key(table, at->key);
    if (nearest)
        return place_fail(at, EINVAL, "compose.unknown-key", "there is no key `%s` here; did you mean `%s`?", at->key,
                          nearest);
    return place_fail(at, EINVAL, "compose.unknown-key", "there is no key `%s` here; remove it or name it x-%s",
                      at->key, at->key);
}

static int apply_mapping(YamlNode *node, const Shape *shape, const Place *at)
{
    if (shape->members)
        drop_extensions(node);
    for (size_t i = 0; i < node->n_items; i++) {
        Place child = place_child(at, i);
        const Shape *expected = shape->values;
        int r = 0;

        if (shape->members) {
            const ComposeKey *key = NULL;

            r = check_member(shape->members, &child, &key);
            if (r < 0)
                return r;
            expected = key->shape;
        }
        if (expected)
            r = schema_apply(node->items[i], expected, &child);
        if (r < 0)
            return r;
    }
    return 0;
}

int schema_apply(YamlNode *node, const Shape *shape, const Place *at)
{
    unsigned found = node_shape(node);

    if (!(shape->allowed & found))
        return fail_type(at, found, shape->allowed);
    if (found == SHAPE_MAP)
        return apply_mapping(node, shape, at);
    for (size_t i = 0; found == SHAPE_LIST && shape->items && i < node->n_items; i++) {
        Place child = place_child(at, i);
        int r = schema_apply(node->items[i], shape->items, &child);

        if (r < 0)
            return r;
    }
    return 0;
}

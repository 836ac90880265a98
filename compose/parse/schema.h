/* SPDX-License-Identifier: MIT */
/* Which keys a compose file may have, and what shape their values take, as tables. */
#pragma once

#include "compose/parse/place.h"

enum {
    SHAPE_TEXT = 1 << 0,
    SHAPE_LIST = 1 << 1,
    SHAPE_MAP = 1 << 2,
    SHAPE_NULL = 1 << 3,
};

typedef struct SchemaKey SchemaKey;

typedef struct Shape {
    unsigned allowed;           /* SHAPE_ flags */
    const SchemaKey *members;   /* mapping: the keys it may have; NULL: any, then: */
    const struct Shape *values; /* mapping with any keys: their values */
    const struct Shape *items;  /* list: its items */
} Shape;

struct SchemaKey {
    const char *key; /* NULL ends a table */
    const Shape *shape;
    const char *unsupported; /* why it is refused and what to do instead; NULL: supported */
};

extern const Shape compose_shape;
/* Keys of one service, alphabetically. */
extern const SchemaKey compose_service_keys[];

/* Removes x- members (where keys are fixed) from the tree and checks the rest. Errors: compose.unknown-key,
 * compose.unsupported-key, compose.bad-type, each with its place. */
int schema_apply(YamlNode *node, const Shape *shape, const Place *at) _must_check_;

/* The key of a table nearest to one that is not in it (a typing error away), or NULL. */
const char *schema_nearest_key(const SchemaKey *table, const char *key);

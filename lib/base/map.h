/* SPDX-License-Identifier: MIT */
/* A hash map from strings to pointers that remembers the order of insertion. */
#pragma once

#include <stddef.h>

#include "lib/base/mem.h"

typedef struct Map Map;
typedef void (*map_free_t)(void *value);

/* free_value may be NULL: values are then borrowed. */
Map *map_new(map_free_t free_value);
Map *map_free(Map *m);
DEFINE_CLEANUP(Map, map_free)

/* Copies the key. Replaces (and frees) a value that is there. 0 or -ENOMEM (value is then not taken). */
int map_put(Map *m, const char *key, void *value) _must_check_;
void *map_get(const Map *m, const char *key);
/* Removes and frees; a missing key is no error. */
void map_remove(Map *m, const char *key);
/* Removes without freeing and returns the value, or NULL. */
void *map_take(Map *m, const char *key);
size_t map_size(const Map *m);

/* for (size_t i = 0; map_next(m, &i, &key, &value);) — in order of insertion; removing the current entry is allowed. */
int map_next(const Map *m, size_t *cursor, const char **key, void **value);

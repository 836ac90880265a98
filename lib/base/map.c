/* SPDX-License-Identifier: MIT */
/* Open addressing over an array of entries that stay in order of insertion; removal leaves a hole until the next growth. */

#include "lib/base/map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/encode.h"

typedef struct Entry {
    char *key; /* NULL: a hole */
    void *value;
    uint64_t hash;
} Entry;

struct Map {
    Entry *entries;
    size_t n_entries, cap; /* entries in use with holes; capacity */
    size_t n_live;
    uint32_t *index; /* entry number + 1, 0 = free; twice the capacity */
    size_t n_index;
    uint64_t seed;
    map_free_t free_value;
};

/* FNV-1a, seeded so that a peer cannot choose colliding keys. */
static uint64_t map_hash(const Map *m, const char *key)
{
    uint64_t h = 14695981039346656037ull ^ m->seed;

    for (; *key; key++)
        h = (h ^ (unsigned char) *key) * 1099511628211ull;
    return h ^ (h >> 29);
}

Map *map_new(map_free_t free_value)
{
    Map *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->free_value = free_value;
    m->seed = random_u64();
    return m;
}

Map *map_free(Map *m)
{
    if (!m)
        return NULL;
    for (size_t i = 0; i < m->n_entries; i++) {
        if (!m->entries[i].key)
            continue;
        free(m->entries[i].key);
        if (m->free_value && m->entries[i].value)
            m->free_value(m->entries[i].value);
    }
    free(m->entries);
    free(m->index);
    free(m);
    return NULL;
}

static Entry *map_find(const Map *m, const char *key)
{
    uint64_t hash;

    if (m->n_index == 0)
        return NULL;
    hash = map_hash(m, key);
    for (size_t i = hash % m->n_index; m->index[i] != 0; i = (i + 1) % m->n_index) {
        Entry *e = &m->entries[m->index[i] - 1];

        if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
            return e;
    }
    return NULL;
}

static void map_index_entry(Map *m, size_t number)
{
    size_t i = m->entries[number].hash % m->n_index;

    while (m->index[i] != 0)
        i = (i + 1) % m->n_index;
    m->index[i] = (uint32_t) number + 1;
}

/* Makes room for one more entry, dropping the holes on the way. Cursors of map_next() stay valid only without growth. */
static int map_grow(Map *m)
{
    size_t cap = m->n_live < 4 ? 8 : m->n_live * 2, n = 0;
    Entry *entries = calloc(cap, sizeof(Entry));
    uint32_t *index = calloc(cap * 2, sizeof(uint32_t));

    if (!entries || !index) {
        free(entries);
        free(index);
        return -ENOMEM;
    }
    for (size_t i = 0; i < m->n_entries; i++)
        if (m->entries[i].key)
            entries[n++] = m->entries[i];
    free(m->entries);
    free(m->index);
    m->entries = entries;
    m->index = index;
    m->n_entries = n;
    m->cap = cap;
    m->n_index = cap * 2;
    for (size_t i = 0; i < n; i++)
        map_index_entry(m, i);
    return 0;
}

int map_put(Map *m, const char *key, void *value)
{
    Entry *e = map_find(m, key);
    char *copy;

    if (e) {
        if (m->free_value && e->value && e->value != value)
            m->free_value(e->value);
        e->value = value;
        return 0;
    }
    if (m->n_entries == m->cap && map_grow(m) < 0)
        return -ENOMEM;
    copy = strdup(key);
    if (!copy)
        return -ENOMEM;
    m->entries[m->n_entries] = (Entry) { .key = copy, .value = value, .hash = map_hash(m, key) };
    map_index_entry(m, m->n_entries);
    m->n_entries++;
    m->n_live++;
    return 0;
}

void *map_get(const Map *m, const char *key)
{
    const Entry *e = map_find(m, key);

    return e ? e->value : NULL;
}

void *map_take(Map *m, const char *key)
{
    Entry *e = map_find(m, key);
    void *value;

    if (!e)
        return NULL;
    value = e->value;
    free(e->key);
    e->key = NULL;
    e->value = NULL;
    m->n_live--;
    return value;
}

void map_remove(Map *m, const char *key)
{
    void *value = map_take(m, key);

    if (value && m->free_value)
        m->free_value(value);
}

size_t map_size(const Map *m)
{
    return m->n_live;
}

int map_next(const Map *m, size_t *cursor, const char **key, void **value)
{
    while (*cursor < m->n_entries) {
        const Entry *e = &m->entries[(*cursor)++];

        if (!e->key)
            continue;
        if (key)
            *key = e->key;
        if (value)
            *value = e->value;
        return 1;
    }
    return 0;
}

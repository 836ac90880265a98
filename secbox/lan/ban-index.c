/* SPDX-License-Identifier: MIT */
/* A list with folded keys, all of which every search goes through: what costs little is looked at first. For names each ban has a
 * set of 64 bits, one for each of its groups of three characters: how many groups of the other name may be in both is counted by
 * it, never too few. Another such set tells which characters are in a name. */
#include "secbox/lan/ban-index.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/record.h"

/* A folded text. */
typedef struct Key {
    char *text;
    size_t len;
    uint64_t hash;
} Key;

typedef struct Entry {
    Ban ban;
    cJSON *row; /* what the record borrows from */
    Key name, plate, document;
    uint64_t groups, characters;
    size_t n_groups;
} Entry;

struct BanIndex {
    Entry *entries;
    size_t n, cap;
    uint64_t tag; /* of all that was added */
};

/* FNV-1a */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

BanIndex *ban_index_new(void)
{
    BanIndex *index = calloc(1, sizeof(*index));

    if (index)
        index->tag = HASH_START;
    return index;
}

static void entry_done(Entry *e)
{
    free(e->ban.id);
    free(e->ban.data);
    cJSON_Delete(e->row);
    free(e->name.text);
    free(e->plate.text);
    free(e->document.text);
}

BanIndex *ban_index_free(BanIndex *index)
{
    if (!index)
        return NULL;
    for (size_t i = 0; i < index->n; i++)
        entry_done(&index->entries[i]);
    free(index->entries);
    free(index);
    return NULL;
}

static unsigned group_bit(uint32_t last3)
{
    /* Fibonacci hashing: neighbouring groups must not share a bit */
    return (unsigned) ((uint64_t) (last3 & 0xffffff) * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

static int fold(char *(*how)(const char *), const char *text, Key *ret)
{
    *ret = (Key) { .text = how(text ? text : ""), .hash = HASH_START };
    for (const char *p = ret->text; p && *p; p++, ret->len++)
        ret->hash = hash_byte(ret->hash, (uint8_t) *p);
    return ret->text ? 0 : -ENOMEM;
}

/* Letters and digits follow each other closely, so that no two of them share a bit. */
static uint64_t characters_of(const Key *k)
{
    uint64_t set = 0;

    for (size_t i = 0; i < k->len; i++)
        set |= UINT64_C(1) << (k->text[i] & 63);
    return set;
}

static int entry_fill(Entry *e, const char *id, const char *data, bool unconfirmed)
{
    NameGroups groups;

    if (json_parse_object(data, strlen(data), &e->row, NULL) < 0)
        return -EBADMSG;
    e->ban = (Ban) { .id = strdup(id), .data = strdup(data), .record = record_from(RECORD_BAN, e->row) };
    e->ban.record.unconfirmed = unconfirmed;
    if (!e->ban.id || !e->ban.data || fold(match_name, e->ban.record.name, &e->name) < 0 ||
        fold(match_plate, e->ban.record.plate, &e->plate) < 0 ||
        fold(match_plate, e->ban.record.document, &e->document) < 0)
        return -ENOMEM;
    e->characters = characters_of(&e->name);
    name_groups(e->name.text, &groups);
    e->n_groups = groups.n;
    for (size_t i = 0; i < groups.n; i++)
        e->groups |= UINT64_C(1) << group_bit(groups.of[i]);
    return 0;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    do
        hash = hash_byte(hash, (uint8_t) *text);
    while (*text++);
    return hash;
}

int ban_index_add(BanIndex *index, const char *id, const char *data, bool unconfirmed)
{
    Entry e = {};

    if (index->n == index->cap) {
        size_t cap = index->cap ? index->cap * 2 : 64;
        Entry *entries = reallocarray(index->entries, cap, sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        index->entries = entries;
        index->cap = cap;
    }
    int r = entry_fill(&e, id, data, unconfirmed);
    if (r < 0) {
        entry_done(&e);
        return r;
    }
    index->entries[index->n++] = e;
    index->tag = hash_byte(hash_text(hash_text(index->tag, id), data), unconfirmed);
    return 0;
}

size_t ban_index_count(const BanIndex *index)
{
    return index->n;
}

uint64_t ban_index_tag(const BanIndex *index)
{
    return index->tag;
}

const Ban *ban_index_at(const BanIndex *index, size_t i)
{
    return &index->entries[i].ban;
}

typedef struct Asked {
    Key name, plate, document;
    uint64_t characters;
    NameGroups groups;
} Asked;

/* Groups that share a bit make the count too high, never too low. */
static bool may_look_alike(const Asked *a, const Entry *e)
{
    size_t both = 0;

    for (size_t i = 0; i < a->groups.n; i++)
        both += e->groups >> group_bit(a->groups.of[i]) & 1;
    return 3 * both >= a->groups.n + e->n_groups;
}

static bool is_equal(const Key *asked, const Key *known)
{
    return asked->hash == known->hash && asked->len > 0 && str_equal(asked->text, known->text);
}

static bool fits_exactly(const Asked *a, const Entry *e)
{
    return is_equal(&a->plate, &e->plate) || is_equal(&a->document, &e->document) || is_equal(&a->name, &e->name);
}

/* Plates that fit begin alike, or are one edit apart. */
static bool plates_may_fit(const Key *asked, const Key *known)
{
    bool about_as_long = asked->len <= known->len + 1 && known->len <= asked->len + 1;

    return (about_as_long || asked->text[0] == known->text[0]) && match_plates(asked->text, known->text) != MATCH_NONE;
}

static bool may_fit_otherwise(const Asked *a, const Entry *e)
{
    if (a->plate.len > 0 && plates_may_fit(&a->plate, &e->plate))
        return true;
    if (a->name.len == 0 || e->name.len == 0)
        return false;
    bool may_be_within = a->name.len <= e->name.len && !(a->characters & ~e->characters);
    return (may_be_within && strstr(e->name.text, a->name.text)) || may_look_alike(a, e);
}

int ban_index_search(const BanIndex *index, const char *name, const char *plate, const char *document,
                     ban_found_t found, void *userdata)
{
    Asked a = {};
    int r = fold(match_name, name, &a.name);

    if (r >= 0)
        r = fold(match_plate, plate, &a.plate);
    if (r >= 0)
        r = fold(match_plate, document, &a.document);
    if (r >= 0) {
        a.characters = characters_of(&a.name);
        name_groups(a.name.text, &a.groups);
    }
    for (size_t i = 0; i < index->n && r >= 0; i++)
        if (fits_exactly(&a, &index->entries[i]))
            r = found(&index->entries[i].ban, userdata);
    for (size_t i = 0; i < index->n && r >= 0; i++)
        if (!fits_exactly(&a, &index->entries[i]) && may_fit_otherwise(&a, &index->entries[i]))
            r = found(&index->entries[i].ban, userdata);
    free(a.name.text);
    free(a.plate.text);
    free(a.document.text);
    return r;
}

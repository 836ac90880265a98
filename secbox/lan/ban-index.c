/* SPDX-License-Identifier: MIT */
/* A list with folded keys. What may fit is found by postings, which never leave out one that does; it is then looked at, first
 * by what costs little. Plates: two that are at most one edit apart have themselves, or what is left without one of their
 * characters, in common; one that begins like another has its first three characters. Names: by groups of three characters, of
 * which only the rarest are looked up, so many that who has none of them cannot have enough of the others. For names each ban
 * has a set of 64 bits, too, one for each of its groups: how many groups of the other name may be in both is counted by it,
 * never too few. Another such set tells which characters are in a name. What is too long for postings is looked at always. */
#include "secbox/lan/ban-index.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/match.h"
#include "secbox/lan/postings.h"
#include "secbox/lan/record.h"

#define PREFIX_LEN 3
#define PLATE_POSTED_MAX 16
/* all groups of such a name are counted: there is one behind its last character, too */
#define NAME_POSTED_MAX (NAME_GROUPS_MAX - 1)

/* A folded text. */
typedef struct Key {
    char *text;
    size_t len;
    uint64_t hash;
} Key;

typedef struct Entry {
    Ban ban;
    Key name, plate, document;
    uint64_t groups, characters;
    size_t n_groups;
} Entry;

struct BanIndex {
    Entry *entries;
    size_t n, cap;
    uint64_t tag;    /* of all that was added */
    size_t n_sealed; /* those behind have no postings, and are looked at always */
    Postings keys, groups;
    uint32_t *always; /* those that are too long */
    size_t n_always;
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
    postings_done(&index->keys);
    postings_done(&index->groups);
    free(index->always);
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

/* Keys of what a plate or a document is found by; they must not be mixed up. */
enum {
    KEY_PLATE = 1,
    KEY_PREFIX,
    KEY_DOCUMENT,
};

/* Of the text without the character at `without`. */
static uint32_t key_of(unsigned kind, const char *text, size_t len, size_t without)
{
    uint64_t hash = hash_byte(HASH_START, (uint8_t) kind);

    for (size_t i = 0; i < len; i++)
        if (i != without)
            hash = hash_byte(hash, (uint8_t) text[i]);
    return (uint32_t) (hash ^ hash >> 32);
}

static bool is_posted(const Entry *e)
{
    return e->plate.len <= PLATE_POSTED_MAX && e->name.len <= NAME_POSTED_MAX;
}

static int post_keys(Postings *keys, const Entry *e, uint32_t number)
{
    const Key *plate = &e->plate, *document = &e->document;
    int r = 0;

    if (document->len > 0)
        r = postings_add(keys, key_of(KEY_DOCUMENT, document->text, document->len, SIZE_MAX), number);
    if (r >= 0 && plate->len > 0)
        r = postings_add(keys, key_of(KEY_PLATE, plate->text, plate->len, SIZE_MAX), number);
    for (size_t i = 0; i < plate->len && r >= 0; i++)
        r = postings_add(keys, key_of(KEY_PLATE, plate->text, plate->len, i), number);
    if (r >= 0 && plate->len >= PREFIX_LEN)
        r = postings_add(keys, key_of(KEY_PREFIX, plate->text, PREFIX_LEN, SIZE_MAX), number);
    return r;
}

static int entry_fill(Entry *e, const char *id, const char *data, bool unconfirmed)
{
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;
    NameGroups groups;

    if (json_parse_object(data, strlen(data), &row, NULL) < 0)
        return -EBADMSG;
    const Record record = record_from(RECORD_BAN, row);
    e->ban = (Ban) { .id = strdup(id), .data = strdup(data), .unconfirmed = unconfirmed };
    if (!e->ban.id || !e->ban.data || fold(match_name, record.name, &e->name) < 0 ||
        fold(match_plate, record.plate, &e->plate) < 0 || fold(match_plate, record.document, &e->document) < 0)
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

static int post(BanIndex *index, uint32_t number, Postings *keys, Postings *groups)
{
    const Entry *e = &index->entries[number];
    NameGroups of;
    int r = 0;

    if (!is_posted(e)) {
        index->always[index->n_always++] = number;
        return 0;
    }
    name_groups(e->name.text, &of);
    for (size_t i = 0; i < of.n && e->name.len > 0 && r >= 0; i++)
        r = postings_add(groups, of.of[i], number);
    return r < 0 ? r : post_keys(keys, e, number);
}

int ban_index_seal(BanIndex *index)
{
    Postings keys = {}, groups = {};
    int r = 0;

    free(index->always);
    index->n_sealed = index->n_always = 0;
    index->always = calloc(index->n + 1, sizeof(*index->always));
    if (!index->always)
        r = -ENOMEM;
    for (size_t i = 0; i < index->n && r >= 0; i++)
        r = post(index, (uint32_t) i, &keys, &groups);
    if (r >= 0)
        r = postings_seal(&keys);
    if (r >= 0)
        r = postings_seal(&groups);
    if (r < 0) {
        postings_done(&keys);
        postings_done(&groups);
        return r;
    }
    postings_done(&index->keys);
    postings_done(&index->groups);
    index->keys = keys;
    index->groups = groups;
    index->n_sealed = index->n;
    return 0;
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

/* One bit a ban, of those that may fit. */
typedef struct Chosen {
    const BanIndex *index;
    uint64_t *bits;
} Chosen;

static void choose(Chosen *c, size_t number)
{
    c->bits[number / 64] |= UINT64_C(1) << (number % 64);
}

static void choose_all(Chosen *c, const Postings *p, uint32_t key)
{
    const uint32_t *numbers;
    size_t n = postings_find(p, key, &numbers);

    for (size_t i = 0; i < n; i++)
        choose(c, numbers[i]);
}

static void choose_by_keys(Chosen *c, const Asked *a)
{
    const Postings *keys = &c->index->keys;
    const Key *plate = &a->plate;

    if (a->document.len > 0)
        choose_all(c, keys, key_of(KEY_DOCUMENT, a->document.text, a->document.len, SIZE_MAX));
    if (plate->len >= PREFIX_LEN)
        choose_all(c, keys, key_of(KEY_PREFIX, plate->text, PREFIX_LEN, SIZE_MAX));
    if (plate->len == 0 || plate->len > PLATE_POSTED_MAX + 1)
        return;
    for (size_t i = 0; i < plate->len; i++)
        choose_all(c, keys, key_of(KEY_PLATE, plate->text, plate->len, i));
    choose_all(c, keys, key_of(KEY_PLATE, plate->text, plate->len, SIZE_MAX));
}

typedef struct Rarity {
    uint32_t group;
    size_t n;
} Rarity;

static int by_rarity(const void *a, const void *b)
{
    const Rarity *x = a, *y = b;

    return (x->n > y->n) - (x->n < y->n);
}

/* Who begins like this has the group of its first three characters; of a shorter first word, the one that ends with the space. */
static uint32_t first_group(const char *name)
{
    uint32_t last3 = ' ' << 8 | ' ';

    for (size_t i = 0; i < PREFIX_LEN && name[i]; i++) {
        last3 = last3 << 8 | (uint8_t) name[i];
        if (name[i] == ' ')
            break;
    }
    return last3 & 0xffffff;
}

/* Two names look alike when they have two thirds of their groups in common, which are half of each at least. */
static void choose_by_names(Chosen *c, const Asked *a)
{
    const size_t n = a->groups.n;
    Rarity of[NAME_GROUPS_MAX];
    const uint32_t *numbers;

    if (a->name.len == 0)
        return;
    for (size_t i = 0; i < n; i++)
        of[i] = (Rarity) { a->groups.of[i], postings_find(&c->index->groups, a->groups.of[i], &numbers) };
    qsort(of, n, sizeof(of[0]), by_rarity);
    for (size_t i = 0; i < n - (n + 1) / 2 + 1; i++)
        choose_all(c, &c->index->groups, of[i].group);
    if (a->name.len >= PREFIX_LEN)
        choose_all(c, &c->index->groups, first_group(a->name.text));
}

static int choose_what_may_fit(Chosen *c, const Asked *a)
{
    c->bits = calloc(c->index->n / 64 + 1, sizeof(*c->bits));
    if (!c->bits)
        return -ENOMEM;
    for (size_t i = c->index->n_sealed; i < c->index->n; i++)
        choose(c, i);
    if (c->index->n_sealed == 0)
        return 0;
    for (size_t i = 0; i < c->index->n_always; i++)
        choose(c, c->index->always[i]);
    choose_by_keys(c, a);
    choose_by_names(c, a);
    return 0;
}

/* Calls back for those that fit exactly, or for those that fit otherwise. */
static int tell(const Chosen *c, const Asked *a, bool exactly, ban_found_t found, void *userdata)
{
    int r = 0;

    for (size_t word = 0; word <= c->index->n / 64; word++)
        for (uint64_t left = c->bits[word]; left && r >= 0; left &= left - 1) {
            const Entry *e = &c->index->entries[word * 64 + (unsigned) __builtin_ctzll(left)];
            bool fits = fits_exactly(a, e);
            if (exactly ? fits : !fits && may_fit_otherwise(a, e))
                r = found(&e->ban, userdata);
        }
    return r;
}

int ban_index_search(const BanIndex *index, const char *name, const char *plate, const char *document,
                     ban_found_t found, void *userdata)
{
    Chosen chosen = { .index = index };
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
    if (r >= 0)
        r = choose_what_may_fit(&chosen, &a);
    if (r >= 0)
        r = tell(&chosen, &a, true, found, userdata);
    if (r >= 0)
        r = tell(&chosen, &a, false, found, userdata);
    free(chosen.bits);
    free(a.name.text);
    free(a.plate.text);
    free(a.document.text);
    return r;
}

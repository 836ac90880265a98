/* SPDX-License-Identifier: MIT */
/* How what a guard types is compared with what the community's data say. The guards' app compares in the same way
 * (secbox/lan/app/match.mjs); tests/cases/match.json holds both to it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

/* From better to worse. */
typedef enum MatchKind {
    MATCH_EXACT,
    MATCH_PREFIX, /* the beginning of a plate or of a word of a name, three characters at least */
    MATCH_NEAR,   /* one edit in a plate, or a name that looks alike */
    MATCH_NONE,
} MatchKind;

/* "exact", "prefix", "near", "none". */
const char *match_kind_name(MatchKind kind);

/* New strings, "" when nothing is left, NULL when out of memory. Accents of Latin letters (up to U+017F) are dropped, letters
 * become upper case; of the rest only A–Z and 0–9 stay. Bytes that are no UTF-8 are dropped.
 * match_plate(): nothing else stays, and look-alikes are one: O0, I1, B8, S5, Z2. For plates, codes and documents.
 * match_name(): words, with one space between them. For names and units. */
char *match_plate(const char *text);
char *match_name(const char *text);

/* Both sides as match_plate() or match_name() made them; an empty side matches nothing. A near plate has four characters at
 * least and differs in one that was typed wrong, too much or not, or in two neighbours that changed places. Names are near when
 * two thirds of the groups of three characters that they have are in both. */
MatchKind match_plates(const char *typed, const char *known);
MatchKind match_names(const char *typed, const char *known);

/* A folded name has about as many groups of three characters as it has characters; longer ones are compared by their beginning. */
#define NAME_GROUPS_MAX 256

/* The groups that a folded name has, each once, ascending: with two spaces before each word and one behind, as pg_trgm has
 * them. */
typedef struct NameGroups {
    uint32_t of[NAME_GROUPS_MAX]; /* three bytes in the low 24 bits */
    size_t n;
} NameGroups;

void name_groups(const char *name, NameGroups *ret);

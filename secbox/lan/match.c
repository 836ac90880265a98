/* SPDX-License-Identifier: MIT */
/* Folding of texts, and the three ways in which two folded ones may belong together. */
#include "secbox/lan/match.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"

#define PREFIX_MIN 3
#define NEAR_PLATE_MIN 4
#define FIRST_ACCENTED 0xc0
#define LAST_ACCENTED 0x17f

/* U+00C0 to U+017F, '-' where it is no letter. Two letters stand for those that are written so where they are missing. */
static const char *const unaccented[] = {
    "A", "A", "A",  "A", "A", "A", "AE", "C",  "E", "E", "E",  "E",  "I", "I", "I",  "I",  "D", "N", "O",  "O",
    "O", "O", "O",  "",  "O", "U", "U",  "U",  "U", "Y", "TH", "SS", "A", "A", "A",  "A",  "A", "A", "AE", "C",
    "E", "E", "E",  "E", "I", "I", "I",  "I",  "D", "N", "O",  "O",  "O", "O", "O",  "",   "O", "U", "U",  "U",
    "U", "Y", "TH", "Y", "A", "A", "A",  "A",  "A", "A", "C",  "C",  "C", "C", "C",  "C",  "C", "C", "D",  "D",
    "D", "D", "E",  "E", "E", "E", "E",  "E",  "E", "E", "E",  "E",  "G", "G", "G",  "G",  "G", "G", "G",  "G",
    "H", "H", "H",  "H", "I", "I", "I",  "I",  "I", "I", "I",  "I",  "I", "I", "IJ", "IJ", "J", "J", "K",  "K",
    "K", "L", "L",  "L", "L", "L", "L",  "L",  "L", "L", "L",  "N",  "N", "N", "N",  "N",  "N", "N", "N",  "N",
    "O", "O", "O",  "O", "O", "O", "OE", "OE", "R", "R", "R",  "R",  "R", "R", "S",  "S",  "S", "S", "S",  "S",
    "S", "S", "T",  "T", "T", "T", "T",  "T",  "U", "U", "U",  "U",  "U", "U", "U",  "U",  "U", "U", "U",  "U",
    "W", "W", "Y",  "Y", "Y", "Z", "Z",  "Z",  "Z", "Z", "Z",  "S",
};
_Static_assert(ELEMENTSOF(unaccented) == LAST_ACCENTED - FIRST_ACCENTED + 1, "one entry a letter");

const char *match_kind_name(MatchKind kind)
{
    static const char *const names[] = { "exact", "prefix", "near", "none" };

    return names[kind];
}

/* One character of UTF-8 (RFC 3629): its bytes, 0 at the end, 1 with U+FFFD for a byte that belongs to none. */
static size_t decode(const char *text, uint32_t *ret)
{
    const unsigned char *s = (const unsigned char *) text;
    size_t len = s[0] < 0x80 ? s[0] != 0 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

    *ret = len < 2 ? s[0] : s[0] & (0xffu >> (len + 1));
    if (len >= 2 && (s[0] < 0xc2 || s[0] > 0xf4))
        len = 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            len = 0;
            break;
        }
        *ret = *ret << 6 | (s[i] & 0x3f);
    }
    if (len > 0 || s[0] == 0)
        return len;
    *ret = 0xfffd;
    return 1;
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The letters that stand for a character, "" for none. */
static const char *fold(uint32_t c, char one[static 2])
{
    one[1] = '\0';
    if (c >= FIRST_ACCENTED && c <= LAST_ACCENTED)
        return unaccented[c - FIRST_ACCENTED];
    one[0] = c < 0x80 ? (char) (c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) : '\0';
    return is_letter_or_digit(one[0]) ? one : "";
}

/* Combining accents stand behind the letter that they belong to, and part no words. */
static bool is_combining(uint32_t c)
{
    return c >= 0x300 && c <= 0x36f;
}

static char look_alike(char c)
{
    static const char letters[] = "OIBSZ", digits[] = "01852";
    const char *at = strchr(letters, c);

    return at && c ? digits[at - letters] : c;
}

char *match_plate(const char *text)
{
    /* two letters stand for characters of two bytes or more: it never grows */
    char *folded = calloc(1, strlen(text) + 1), *to = folded, one[2];
    uint32_t c;

    for (size_t n; folded && (n = decode(text, &c)) > 0; text += n)
        for (const char *p = fold(c, one); *p; p++)
            *to++ = look_alike(*p);
    return folded;
}

char *match_name(const char *text)
{
    char *folded = calloc(1, strlen(text) + 1), *to = folded, one[2];
    bool apart = false;
    uint32_t c;

    for (size_t n; folded && (n = decode(text, &c)) > 0; text += n) {
        const char *p = fold(c, one);
        if (!*p && !is_combining(c))
            apart = to > folded;
        if (*p && apart)
            *to++ = ' ';
        apart = apart && !*p;
        while (*p)
            *to++ = *p++;
    }
    return folded;
}

static bool is_prefix(const char *typed, size_t len, const char *known)
{
    return len >= PREFIX_MIN && strncmp(typed, known, len) == 0;
}

/* Optimal string alignment distance of at most one: behind what both have in front, and before what both have at their
 * ends, there is at most one character a side, or two that changed places. */
static bool one_edit(const char *a, size_t a_len, const char *b, size_t b_len)
{
    while (a_len > 0 && b_len > 0 && *a == *b)
        a++, b++, a_len--, b_len--;
    while (a_len > 0 && b_len > 0 && a[a_len - 1] == b[b_len - 1])
        a_len--, b_len--;
    if (a_len <= 1 && b_len <= 1)
        return true;
    return a_len == 2 && b_len == 2 && a[0] == b[1] && a[1] == b[0];
}

MatchKind match_plates(const char *typed, const char *known)
{
    size_t len = strlen(typed), known_len = strlen(known);

    if (len == 0 || known_len == 0)
        return MATCH_NONE;
    if (str_equal(typed, known))
        return MATCH_EXACT;
    if (is_prefix(typed, len, known))
        return MATCH_PREFIX;
    bool near = len >= NEAR_PLATE_MIN && known_len >= NEAR_PLATE_MIN && one_edit(typed, len, known, known_len);
    return near ? MATCH_NEAR : MATCH_NONE;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}

static void groups_add(NameGroups *g, uint32_t last3)
{
    if (g->n < NAME_GROUPS_MAX)
        g->of[g->n++] = last3 & 0xffffff;
}

void name_groups(const char *name, NameGroups *g)
{
    uint32_t last3 = ' ' << 8 | ' ';
    size_t unique = 0;

    g->n = 0;
    for (const char *p = name; *p; p++) {
        last3 = last3 << 8 | (uint8_t) *p;
        groups_add(g, last3);
        if (*p == ' ')
            last3 = ' ' << 8 | ' ';
    }
    groups_add(g, last3 << 8 | ' ');
    qsort(g->of, g->n, sizeof(g->of[0]), by_value);
    for (size_t i = 0; i < g->n; i++)
        if (i == 0 || g->of[i] != g->of[unique - 1])
            g->of[unique++] = g->of[i];
    g->n = unique;
}

static bool names_look_alike(const char *a, const char *b)
{
    NameGroups x, y;
    size_t both = 0;

    name_groups(a, &x);
    name_groups(b, &y);
    for (size_t i = 0, j = 0; i < x.n && j < y.n;) {
        if (x.of[i] == y.of[j])
            both++, i++, j++;
        else if (x.of[i] < y.of[j])
            i++;
        else
            j++;
    }
    /* two thirds of all: 2 * both / (x + y) >= 2 / 3 */
    return 3 * both >= x.n + y.n;
}

MatchKind match_names(const char *typed, const char *known)
{
    size_t len = strlen(typed);

    if (len == 0 || *known == '\0')
        return MATCH_NONE;
    if (str_equal(typed, known))
        return MATCH_EXACT;
    for (const char *word = known; word; word = strchr(word, ' ') ? strchr(word, ' ') + 1 : NULL)
        if (is_prefix(typed, len, word))
            return MATCH_PREFIX;
    return names_look_alike(typed, known) ? MATCH_NEAR : MATCH_NONE;
}

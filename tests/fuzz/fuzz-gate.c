/* SPDX-License-Identifier: MIT */
/* Rows of the community's tables and what a guard types: the first line is typed, each further one is a row. Whatever they
 * hold, the verdict is one of three, and nobody is authorised beside a ban that fits exactly. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/json.h"
#include "secbox/lan/ban-index.h"
#include "secbox/lan/record.h"

#define ROWS_MAX 8

static int on_ban(const Ban *ban, void *userdata)
{
    size_t *n = userdata;

    *n += ban->id[0] == 'b';
    return 0;
}

static void check(const char *typed, char *const *lines, size_t n)
{
    _cleanup_(ban_index_freep) BanIndex *index = ban_index_new();
    const LocalMoment at = { .now = 1790000000, .weekday = 1, .minute = 600 };
    cJSON *rows[ROWS_MAX] = {};
    Record records[ROWS_MAX];
    Fit fits[ROWS_MAX] = {};
    Decision d;
    size_t found = 0, used = 0, exact = 0;

    if (!index || !typed)
        return;
    for (size_t i = 0; i < n; i++) {
        if (json_parse_object(lines[i], strlen(lines[i]), &rows[used], NULL) < 0)
            continue;
        RecordKind kind = i % 3 == 0 ? RECORD_BAN : i % 3 == 1 ? RECORD_GUEST : RECORD_RESIDENT;
        records[used] = record_from(kind, rows[used]);
        used++;
        if (kind == RECORD_BAN && ban_index_add(index, "b", lines[i], false) < 0)
            abort();
    }
    if (strlen(typed) % 2 == 0 && ban_index_seal(index) < 0)
        abort();
    if (verdict_decide(typed, records, used, &at, fits, &d) < 0 ||
        ban_index_search(index, typed, typed, typed, on_ban, &found) < 0)
        abort();
    for (size_t i = 0; i < used; i++) {
        bool active = records[i].kind == RECORD_BAN && ban_is_active(&records[i], &at);
        exact += active && fits[i].match == MATCH_EXACT && !records[i].code;
        /* the index knows every ban that the rules name; codes are not in it */
        if (records[i].kind == RECORD_BAN && fits[i].match != MATCH_NONE && !records[i].code && found == 0)
            abort();
    }
    if (exact > 0 && d.verdict != VERDICT_BANNED)
        abort();
    for (size_t i = 0; i < used; i++)
        cJSON_Delete(rows[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *) data, size), *lines[ROWS_MAX], *rest = text;
    char *typed = strsep(&rest, "\n");
    size_t n = 0;

    while (rest && n < ROWS_MAX)
        lines[n++] = strsep(&rest, "\n");
    check(typed, lines, n);
    free(text);
    return 0;
}

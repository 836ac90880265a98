/* SPDX-License-Identifier: MIT */
#include "secbox/lan/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/record.h"

/* Of bans that what was typed may mean: those that fit exactly come first. */
#define TYPED_BANS_MAX 64
#define ROOM_FIRST 8 /* a power of two, as LOOKUP_RECORDS_MAX is */

Lookup *lookup_new(void)
{
    return calloc(1, sizeof(Lookup));
}

Lookup *lookup_free(Lookup *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->n; i++) {
        cJSON_Delete(l->rows[i]);
        free(l->ids[i]);
        free(l->units[i]);
    }
    free(l->records);
    free(l->ids);
    free(l->units);
    free(l->rows);
    free(l);
    return NULL;
}

static int more_room(Lookup *l)
{
    const size_t room = l->room ? l->room * 2 : ROOM_FIRST;
    Record *records = reallocarray(l->records, room, sizeof(*records));
    char **ids = records ? reallocarray(l->ids, room, sizeof(*ids)) : NULL;
    char **units = ids ? reallocarray(l->units, room, sizeof(*units)) : NULL;
    cJSON **rows = units ? reallocarray(l->rows, room, sizeof(*rows)) : NULL;

    l->records = records ? records : l->records;
    l->ids = ids ? ids : l->ids;
    l->units = units ? units : l->units;
    l->rows = rows ? rows : l->rows;
    if (!rows)
        return -ENOMEM;
    l->room = room;
    return 0;
}

/* Takes the row, which is freed when there is no place for it. The place is otherwise empty. */
static int next_place(Lookup *l, cJSON *row, size_t *ret)
{
    if (l->n == l->room && more_room(l) < 0) {
        cJSON_Delete(row);
        return -ENOMEM;
    }
    *ret = l->n++;
    l->rows[*ret] = row;
    l->ids[*ret] = l->units[*ret] = NULL;
    return 0;
}

static int add_ban(const Ban *ban, void *userdata)
{
    Lookup *l = userdata;
    cJSON *row = NULL;

    for (size_t i = 0; i < l->n; i++)
        if (l->ids[i] && str_equal(l->ids[i], ban->id))
            return 0;
    if (l->n == (l->has_people ? LOOKUP_RECORDS_MAX : TYPED_BANS_MAX))
        /* a person whose bans are not all looked at must not turn out green */
        return l->has_people ? -E2BIG : 0;
    int r = json_parse_object(ban->data, strlen(ban->data), &row, NULL);
    if (r < 0)
        return r;
    size_t at = 0;
    r = next_place(l, row, &at);
    if (r < 0)
        return r;
    l->records[at] = record_from(RECORD_BAN, row);
    l->records[at].unconfirmed = ban->unconfirmed;
    l->ids[at] = strdup(ban->id);
    return l->ids[at] ? 0 : -ENOMEM;
}

int lookup_add_bans(Lookup *l, const BanIndex *bans, const char *name, const char *plate, const char *document)
{
    return ban_index_search(bans, name, plate, document, add_ban, l);
}

int lookup_add_ban_of_id(Lookup *l, const BanIndex *bans, const char *id)
{
    for (size_t i = 0; i < ban_index_count(bans); i++) {
        const Ban *ban = ban_index_at(bans, i);
        if (str_equal(ban->id, id))
            return add_ban(ban, l);
    }
    return 0;
}

int lookup_add_person(Lookup *l, const BanIndex *bans, const StoreRows *rows, size_t i)
{
    const char *kind = store_rows_get(rows, i, 0), *data = store_rows_get(rows, i, 2);
    cJSON *row = NULL;
    uint64_t used = 0;

    if (l->n == LOOKUP_RECORDS_MAX || !kind || !data || json_parse_object(data, strlen(data), &row, NULL) < 0)
        return 0;
    size_t at = 0;
    int r = next_place(l, row, &at);
    if (r < 0)
        return r;
    l->records[at] = record_from(str_equal(kind, "guest") ? RECORD_GUEST : RECORD_RESIDENT, row);
    l->records[at].used = store_rows_u64(rows, i, 3, INT64_MAX, &used) < 0 ? UINT64_MAX : used;
    r = store_rows_copy(rows, i, 1, &l->ids[at]);
    if (r >= 0)
        r = store_rows_copy(rows, i, 4, &l->units[at]);
    if (r >= 0)
        r = lookup_add_bans(l, bans, l->records[at].name, l->records[at].plate, l->records[at].document);
    return r;
}

int lookup_judge(const Lookup *l, const char *typed, const LocalMoment *at, Judgement *ret)
{
    return verdict_decide(typed, l->records, l->n, at, ret->fits, &ret->decision);
}

static int add_texts(cJSON *item, const cJSON *row)
{
    static const char *const members[] = { "name", "plate", "document", "reason", "unit",
                                           "from", "until", "hours",    "notes" };
    int r = 0;

    for (size_t i = 0; i < ELEMENTSOF(members) && r >= 0; i++)
        r = json_add_string(item, members[i], json_string(row, members[i]));
    const cJSON *days = cJSON_GetObjectItemCaseSensitive(row, "days");
    if (r >= 0 && cJSON_IsArray(days))
        r = json_add_item(item, "days", cJSON_Duplicate(days, true));
    return r;
}

static cJSON *fit_to_json(const Lookup *l, size_t i, const Fit *f)
{
    static const char *const kinds[] = { "ban", "guest", "resident" };
    const Record *rec = &l->records[i];
    cJSON *item = cJSON_CreateObject();
    int r = json_add_string(item, "id", l->ids[i]);

    if (r >= 0)
        r = json_add_string(item, "kind", kinds[rec->kind]);
    if (r >= 0)
        r = json_add_string(item, "match", match_kind_name(f->match));
    if (r >= 0)
        r = json_add_string(item, "verdict", verdict_name(f->verdict));
    if (r >= 0 && f->refusal != REFUSAL_NONE)
        r = json_add_string(item, "refusal", refusal_name(f->refusal));
    if (r >= 0 && f->doubt)
        r = json_add_bool(item, "doubt", true);
    if (r >= 0 && rec->unconfirmed)
        r = json_add_bool(item, "unconfirmed", true);
    if (r >= 0 && rec->has_uses)
        r = json_add_int(item, "usesLeft", rec->used < rec->uses ? (int) (rec->uses - rec->used) : 0);
    if (r >= 0)
        r = json_add_string(item, "unitName", l->units[i]);
    if (r >= 0)
        r = add_texts(item, l->rows[i]);
    if (r >= 0)
        return item;
    cJSON_Delete(item);
    return NULL;
}

int lookup_add_fits(cJSON *body, const Lookup *l, const Judgement *j)
{
    cJSON *list = cJSON_AddArrayToObject(body, "fits");
    size_t reason = j->decision.reason;
    int r = list ? 0 : -ENOMEM;

    /* the one that decided comes first, then those of the same kind of match together */
    if (r >= 0 && reason != SIZE_MAX)
        r = json_append(list, fit_to_json(l, reason, &j->fits[reason]));
    for (MatchKind kind = MATCH_EXACT; kind < MATCH_NONE; kind++)
        for (size_t i = 0; i < l->n && r >= 0; i++)
            if (j->fits[i].match == kind && i != reason)
                r = json_append(list, fit_to_json(l, i, &j->fits[i]));
    return r;
}

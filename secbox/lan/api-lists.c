/* SPDX-License-Identifier: MIT */
/* GET /api/lan/ban-list, /schedule, /units: pages with a tag, so that a tablet that has them asks in vain for a few bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"
#include "secbox/lan/record.h"
#include "secbox/replica/gate-sql.h"

#define PAGE_MAX 1000
#define PAGE_DEFAULT 200
#define OFFSET_MAX 1000000
#define TYPED_MAX 128
#define BANS_TAG_SIZE 17
#define EXPECTED USEC_PER_DAY

typedef struct Page {
    uint64_t limit, offset;
    char header[ETAG_HEADER_SIZE];
} Page;

/* A row of the replica with its id and what the box adds: a new object, NULL: out of memory, or no object. */
static cJSON *row_of(const char *id, const char *data)
{
    cJSON *row = NULL;

    if (!data || json_parse_object(data, strlen(data), &row, NULL) < 0)
        return NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(row, "id");
    if (json_add_string(row, "id", id) >= 0)
        return row;
    cJSON_Delete(row);
    return NULL;
}

/* Reads limit and offset, and answers 304 where the page is what the client has. `of`: what the list depends on; `moves`: it also
 * depends on the time and on who came. */
static bool page_start(LanRequest *q, const char *of, bool moves)
{
    _cleanup_(freep) char *version = NULL;
    Page *p = calloc(1, sizeof(*p));

    q->scratch = p;
    q->scratch_free = free;
    if (!p) {
        lan_answer(q, 500, NULL);
        return false;
    }
    if (!lan_query_number(q, "limit", PAGE_MAX, PAGE_DEFAULT, &p->limit) ||
        !lan_query_number(q, "offset", OFFSET_MAX, 0, &p->offset))
        return false;
    version =
        str_format("%s-%llu-%llu-%llu-%llu", of ? of : "", (unsigned long long) p->limit,
                   (unsigned long long) p->offset, (unsigned long long) (moves ? realtime_usec() / USEC_PER_MINUTE : 0),
                   (unsigned long long) (moves ? q->lan->written : 0));
    if (version)
        return lan_is_news(q, version, p->header);
    lan_answer(q, 500, NULL);
    return false;
}

/* {"NAME": list, "next": OFFSET} with the page's tag; n rows were read for it, and next is absent on the last page. */
static void page_answer(LanRequest *q, const char *name, cJSON *list, size_t n)
{
    const Page *p = q->scratch;
    const char *const headers[] = { p->header, NULL };
    cJSON *body = cJSON_CreateObject();
    int r = body && list ? json_add_item(body, name, list) : -ENOMEM;

    if (r >= 0 && n == p->limit && n > 0)
        r = json_add_int(body, "next", (int) (p->offset + n));
    if (r < 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer_with(q, 200, body, headers);
}

static void ban_list(LanRequest *q)
{
    const BanIndex *bans = gate_data_bans(q->lan->data);
    size_t count = bans ? ban_index_count(bans) : 0, n = 0;
    char of[BANS_TAG_SIZE];

    if (!bans) {
        lan_refuse(q, 503, "lan.no-data", "the box has not read the community's bans yet; ask again in a moment");
        return;
    }
    /* what else changes in the community makes no tablet read them again */
    snprintf(of, sizeof(of), "%016llx", (unsigned long long) ban_index_tag(bans));
    if (!page_start(q, of, false))
        return;
    const Page *p = q->scratch;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = p->offset; list && i < count && n < p->limit; i++, n++) {
        const Ban *ban = ban_index_at(bans, i);
        cJSON *row = row_of(ban->id, ban->data);
        int r = row && ban->unconfirmed ? json_add_bool(row, "unconfirmed", true) : 0;
        if (json_append(list, row) < 0 || r < 0) {
            cJSON_Delete(list);
            list = NULL;
        }
    }
    page_answer(q, "bans", list, n);
}

/* Those who may come between now and the same time tomorrow; days and hours are the app's to group by. */
static bool is_expected(const cJSON *row)
{
    const Record guest = record_from(RECORD_GUEST, row);
    int64_t now = (int64_t) (realtime_usec() / USEC_PER_SEC);

    return (!guest.until || guest.until > now) && guest.from < now + (int64_t) (EXPECTED / USEC_PER_SEC);
}

/* "A B" into an array. */
static int add_passes(cJSON *row, const char *used)
{
    cJSON *list = used ? cJSON_AddArrayToObject(row, "passes") : NULL;
    int r = used && !list ? -ENOMEM : 0;

    for (size_t len = 0; used && *used && r >= 0; used += len + (used[len] != '\0')) {
        len = strcspn(used, " ");
        _cleanup_(freep) char *pass = strndup(used, len);
        r = pass ? json_append(list, cJSON_CreateString(pass)) : -ENOMEM;
    }
    return r;
}

static cJSON *guest_of(const StoreRows *rows, size_t i)
{
    cJSON *row = row_of(store_rows_get(rows, i, 1), store_rows_get(rows, i, 2));
    uint64_t used = 0;

    if (row && (store_rows_u64(rows, i, 3, INT32_MAX, &used) < 0 || json_add_int(row, "used", (int) used) < 0 ||
                json_add_string(row, "unitName", store_rows_get(rows, i, 4)) < 0 ||
                add_passes(row, store_rows_get(rows, i, 5)) < 0)) {
        cJSON_Delete(row);
        return NULL;
    }
    return row;
}

static cJSON *unit_of(const StoreRows *rows, size_t i)
{
    return row_of(store_rows_get(rows, i, 0), store_rows_get(rows, i, 1));
}

/* `belongs` (NULL: all do) leaves rows out. */
static void answer_rows(LanRequest *q, const StoreRows *rows, const char *name,
                        cJSON *(*make)(const StoreRows *rows, size_t i), bool (*belongs)(const cJSON *row))
{
    cJSON *list = cJSON_CreateArray();
    size_t n = store_rows_count(rows);

    for (size_t i = 0; i < n && list; i++) {
        cJSON *row = make(rows, i);
        if (row && belongs && !belongs(row)) {
            cJSON_Delete(row);
        } else if (json_append(list, row) < 0) {
            cJSON_Delete(list);
            list = NULL;
        }
    }
    page_answer(q, name, list, n);
}

static void on_schedule(LanRequest *q, const StoreRows *rows)
{
    answer_rows(q, rows, "guests", guest_of, is_expected);
}

static void schedule(LanRequest *q)
{
    char from[TIMESTAMP_SIZE], until[TIMESTAMP_SIZE];
    usec_t now = realtime_usec();

    if (!page_start(q, gate_data_community(q->lan->data)->version, true))
        return;
    const Page *p = q->scratch;
    timestamp_format(now > USEC_PER_DAY ? now - USEC_PER_DAY : 0, from);
    timestamp_format(now + EXPECTED + USEC_PER_DAY, until);
    lan_query(q, sql_gate_schedule(from, until, (int64_t) p->limit, (int64_t) p->offset), on_schedule);
}

static void on_units(LanRequest *q, const StoreRows *rows)
{
    answer_rows(q, rows, "units", unit_of, NULL);
}

static void units(LanRequest *q)
{
    _cleanup_(freep) char *typed = http_query(q->exchange, "q");

    if (typed && strlen(typed) > TYPED_MAX) {
        lan_refuse(q, 400, "lan.bad-request", "q has at most %d bytes", TYPED_MAX);
        return;
    }
    if (!page_start(q, gate_data_community(q->lan->data)->version, typed != NULL))
        return;
    const Page *p = q->scratch;
    lan_query(q, sql_gate_units(typed ? typed : "", (int64_t) p->limit, (int64_t) p->offset), on_units);
}

const LanRoute lan_list_routes[] = {
    { "GET", "/api/lan/ban-list", LAN_GUARDS, ban_list },
    { "GET", "/api/lan/schedule", LAN_GUARDS, schedule },
    { "GET", "/api/lan/units", LAN_GUARDS, units },
    {},
};

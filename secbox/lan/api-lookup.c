/* SPDX-License-Identifier: MIT */
/* GET /api/lan/lookup?q=TEXT or ?id=PERSON, POST /api/lan/pass: whether somebody may come in. Bans come from memory, and are told
 * even while the database is away. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/uuid.h"
#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"
#include "secbox/lan/pass-check.h"
#include "secbox/lan/record.h"
#include "secbox/replica/gate-sql.h"

#define TYPED_MAX 128
#define RECORDS_MAX 1024
/* Of bans that what was typed may mean: those that fit exactly come first. */
#define TYPED_BANS_MAX 64

/* What was found, and the rows that the records borrow from. */
typedef struct Lookup {
    char *typed;
    bool by_id, has_people;
    bool by_pass;
    Pass pass;
    PassFault fault;
    Record records[RECORDS_MAX];
    const char *ids[RECORDS_MAX];
    char *owned_ids[RECORDS_MAX], *units[RECORDS_MAX];
    cJSON *rows[RECORDS_MAX];
    size_t n;
} Lookup;

static void lookup_free(void *lookup)
{
    Lookup *l = lookup;

    for (size_t i = 0; i < l->n; i++) {
        cJSON_Delete(l->rows[i]);
        free(l->owned_ids[i]);
        free(l->units[i]);
    }
    free(l->typed);
    free(l);
}

static int add_ban(const Ban *ban, void *userdata)
{
    Lookup *l = userdata;
    cJSON *row = NULL;

    for (size_t i = 0; i < l->n; i++)
        if (l->ids[i] && str_equal(l->ids[i], ban->id))
            return 0;
    if (l->n == (l->has_people ? RECORDS_MAX : TYPED_BANS_MAX))
        /* a person whose bans are not all looked at must not turn out green */
        return l->has_people ? -E2BIG : 0;
    int r = json_parse_object(ban->data, strlen(ban->data), &row, NULL);
    if (r < 0)
        return r;
    l->records[l->n] = record_from(RECORD_BAN, row);
    l->records[l->n].unconfirmed = ban->unconfirmed;
    l->owned_ids[l->n] = strdup(ban->id);
    l->ids[l->n] = l->owned_ids[l->n];
    l->rows[l->n++] = row;
    return l->ids[l->n - 1] ? 0 : -ENOMEM;
}

static int add_bans(LanRequest *q, Lookup *l, const char *name, const char *plate, const char *document)
{
    return ban_index_search(gate_data_bans(q->lan->data), name, plate, document, add_ban, l);
}

static int add_person(LanRequest *q, Lookup *l, const StoreRows *rows, size_t i)
{
    const char *kind = store_rows_get(rows, i, 0), *data = store_rows_get(rows, i, 2);
    cJSON *row = NULL;
    uint64_t used = 0;

    if (l->n == RECORDS_MAX || !kind || !data || json_parse_object(data, strlen(data), &row, NULL) < 0)
        return 0;
    size_t at = l->n++;
    l->rows[at] = row;
    l->records[at] = record_from(str_equal(kind, "guest") ? RECORD_GUEST : RECORD_RESIDENT, row);
    l->records[at].used = store_rows_u64(rows, i, 3, INT64_MAX, &used) < 0 ? UINT64_MAX : used;
    int r = store_rows_copy(rows, i, 1, &l->owned_ids[at]);
    if (r >= 0)
        r = store_rows_copy(rows, i, 4, &l->units[at]);
    l->ids[at] = l->owned_ids[at];
    if (r >= 0)
        r = add_bans(q, l, l->records[at].name, l->records[at].plate, l->records[at].document);
    return r;
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

static int add_fits(cJSON *body, const Lookup *l, const Fit *fits, const Decision *d)
{
    cJSON *list = cJSON_AddArrayToObject(body, "fits");
    int r = list ? 0 : -ENOMEM;

    /* the one that decided comes first, then those of the same kind of match together */
    if (r >= 0 && d->reason != SIZE_MAX)
        r = json_append(list, fit_to_json(l, d->reason, &fits[d->reason]));
    for (MatchKind kind = MATCH_EXACT; kind < MATCH_NONE; kind++)
        for (size_t i = 0; i < l->n && r >= 0; i++)
            if (fits[i].match == kind && i != d->reason)
                r = json_append(list, fit_to_json(l, i, &fits[i]));
    return r;
}

static int add_since(LanRequest *q, cJSON *body)
{
    const GateCommunity *c = gate_data_community(q->lan->data);
    char text[TIMESTAMP_SIZE];
    int r = json_add_bool(body, "database", gate_data_has_database(q->lan->data));

    if (r >= 0 && c->applied_at > 0)
        r = json_add_string(body, "dataSince", timestamp_format(c->applied_at, text));
    return r;
}

/* By id the record is the person's own: it fits exactly, by what it is called, or drives. */
static const char *asked_text(const Lookup *l)
{
    if (!l->by_id)
        return l->typed;
    for (size_t i = 0; i < l->n; i++) {
        const Record *r = &l->records[i];
        if (r->kind != RECORD_BAN)
            return r->name ? r->name : r->plate ? r->plate : r->code ? r->code : "";
    }
    return "";
}

/* A pass that is not good makes nobody green, the guest on the card neither. */
static void apply_pass(const Lookup *l, Fit *fits, Decision *d)
{
    d->verdict = pass_verdict(l->fault, d->verdict);
    for (size_t i = 0; i < l->n; i++)
        fits[i].verdict = pass_verdict(l->fault, fits[i].verdict);
}

static int add_pass(cJSON *body, const Lookup *l)
{
    cJSON *item = cJSON_CreateObject();
    char time[TIMESTAMP_SIZE];
    int r = json_add_item(body, "pass", item);

    if (r >= 0 && l->fault != PASS_GOOD)
        r = json_add_string(item, "refusal", pass_fault_name(l->fault));
    if (r < 0 || !pass_names_guest(l->fault))
        return r;
    if (json_add_string(item, "id", l->pass.id) < 0 || json_add_string(item, "guest", l->pass.guest) < 0 ||
        json_add_string(item, "from", timestamp_format(l->pass.from * USEC_PER_SEC, time)) < 0)
        return -ENOMEM;
    return json_add_string(item, "until", timestamp_format(l->pass.until * USEC_PER_SEC, time));
}

static void answer(LanRequest *q)
{
    Lookup *l = q->scratch;
    const LocalMoment at = gate_data_moment(q->lan->data, realtime_usec());
    Fit fits[RECORDS_MAX] = {};
    Decision d;
    cJSON *body = NULL;
    int r = verdict_decide(asked_text(l), l->records, l->n, &at, fits, &d);

    if (r >= 0)
        body = cJSON_CreateObject();
    if (r >= 0 && l->by_pass) {
        apply_pass(l, fits, &d);
        r = add_pass(body, l);
    }
    if (r >= 0)
        r = json_add_string(body, "verdict", verdict_name(d.verdict));
    if (r >= 0)
        r = json_add_bool(body, "doubt", d.doubt);
    if (r >= 0)
        r = add_fits(body, l, fits, &d);
    if (r >= 0)
        r = add_since(q, body);
    if (r < 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer(q, 200, body);
}

static void on_people(LanRequest *q, const StoreRows *rows)
{
    Lookup *l = q->scratch;
    int r = 0;

    l->has_people = true;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = add_person(q, l, rows, i);
    if (r < 0)
        lan_answer(q, 500, NULL);
    else if (l->by_id && store_rows_count(rows) == 0)
        lan_refuse(q, 404, "lan.no-such-person", "nobody here has this id");
    else
        answer(q);
}

/* NULL: the request was answered. */
static Lookup *lookup_start(LanRequest *q)
{
    if (!gate_data_bans(q->lan->data)) {
        lan_refuse(q, 503, "lan.no-data", "the box has not read the community's bans yet; ask again in a moment");
        return NULL;
    }
    Lookup *l = calloc(1, sizeof(*l));

    q->scratch = l;
    q->scratch_free = l ? lookup_free : NULL;
    if (!l)
        lan_answer(q, 500, NULL);
    return l;
}

static void on_guest(LanRequest *q, const StoreRows *rows)
{
    Lookup *l = q->scratch;
    bool known = store_rows_count(rows) > 0;

    l->has_people = true;
    l->fault = pass_check_guest(l->fault, known, known && store_rows_true(rows, 0, 5));
    if (known && add_person(q, l, rows, 0) < 0)
        lan_answer(q, 500, NULL);
    else
        answer(q);
}

/* The database is asked nothing for a text that is no pass of this community. */
static void pass(LanRequest *q)
{
    const GateCommunity *c = gate_data_community(q->lan->data);
    const char *text = json_string(q->body, "pass");
    Lookup *l = NULL;

    if (!text || strlen(text) > PASS_TEXT_MAX)
        lan_refuse(q, 400, "lan.bad-request", "give pass, a text of at most %d bytes", PASS_TEXT_MAX);
    else
        l = lookup_start(q);
    if (!l)
        return;
    l->by_id = l->by_pass = true;
    l->fault = pass_check(c->pass_key, c->id, (int64_t) (realtime_usec() / USEC_PER_SEC), text, &l->pass);
    if (pass_names_guest(l->fault))
        lan_query(q, sql_gate_pass(l->pass.guest, l->pass.id), on_guest);
    else
        answer(q);
}

static void lookup(LanRequest *q)
{
    Lookup *l = lookup_start(q);

    if (!l)
        return;
    char *id = http_query(q->exchange, "id");
    l->by_id = id != NULL;
    l->typed = id ? id : http_query(q->exchange, "q");
    if (!l->typed || strlen(l->typed) > TYPED_MAX || (l->by_id && !uuid_is_valid(l->typed))) {
        lan_refuse(q, 400, "lan.bad-request", "give q, a text of at most %d bytes, or id", TYPED_MAX);
    } else if (!l->by_id && add_bans(q, l, l->typed, l->typed, l->typed) < 0) {
        lan_answer(q, 500, NULL);
    } else if (!gate_data_has_database(q->lan->data) && !l->by_id) {
        answer(q);
    } else {
        q->without = l->by_id ? NULL : answer;
        lan_query(q, l->by_id ? sql_gate_person(l->typed) : sql_gate_candidates(l->typed), on_people);
    }
}

const LanRoute lan_lookup_routes[] = {
    { "GET", "/api/lan/lookup", LAN_ABOUT_PEOPLE, lookup },
    { "POST", "/api/lan/pass", LAN_ABOUT_PEOPLE, pass },
    {},
};

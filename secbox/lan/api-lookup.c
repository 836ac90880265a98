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
#include "secbox/lan/lookup.h"
#include "secbox/lan/pass-check.h"
#include "secbox/replica/gate-sql.h"

#define TYPED_MAX 128

/* What was asked, and what was found. */
typedef struct Asked {
    char *typed;
    bool by_id, by_pass;
    Pass pass;
    PassFault fault;
    Lookup *found;
} Asked;

static void asked_free(void *asked)
{
    Asked *a = asked;

    lookup_free(a->found);
    free(a->typed);
    free(a);
}

static int add_person(LanRequest *q, const Asked *a, const StoreRows *rows, size_t i)
{
    return lookup_add_person(a->found, gate_data_bans(q->lan->data), rows, i);
}

static int add_since(LanRequest *q, cJSON *body)
{
    const GateCommunity *c = gate_data_community(q->lan->data);
    int r = json_add_bool(body, "database", gate_data_has_database(q->lan->data));

    return r >= 0 && c->applied_at > 0 ? json_add_string(body, "dataSince", c->applied_text) : r;
}

/* By id the record is the person's own: it fits exactly, by what it is called, or drives. */
static const char *asked_text(const Asked *a)
{
    if (!a->by_id)
        return a->typed;
    for (size_t i = 0; i < a->found->n; i++) {
        const Record *r = &a->found->records[i];
        if (r->kind != RECORD_BAN)
            return r->name ? r->name : r->plate ? r->plate : r->code ? r->code : "";
    }
    return "";
}

/* A pass that is not good makes nobody green, the guest on the card neither. */
static void apply_pass(const Asked *a, Judgement *j)
{
    j->decision.verdict = pass_verdict(a->fault, j->decision.verdict);
    for (size_t i = 0; i < a->found->n; i++)
        j->fits[i].verdict = pass_verdict(a->fault, j->fits[i].verdict);
}

static int add_pass(cJSON *body, const Asked *a)
{
    cJSON *item = cJSON_CreateObject();
    char time[TIMESTAMP_SIZE];
    int r = json_add_item(body, "pass", item);

    if (r >= 0 && a->fault != PASS_GOOD)
        r = json_add_string(item, "refusal", pass_fault_name(a->fault));
    if (r < 0 || !pass_names_guest(a->fault))
        return r;
    if (json_add_string(item, "id", a->pass.id) < 0 || json_add_string(item, "guest", a->pass.guest) < 0 ||
        json_add_string(item, "from", timestamp_format(a->pass.from * USEC_PER_SEC, time)) < 0)
        return -ENOMEM;
    return json_add_string(item, "until", timestamp_format(a->pass.until * USEC_PER_SEC, time));
}

static void answer(LanRequest *q)
{
    const Asked *a = q->scratch;
    const LocalMoment at = gate_data_moment(q->lan->data, realtime_usec());
    Judgement j;
    cJSON *body = NULL;
    int r = lookup_judge(a->found, asked_text(a), &at, &j);

    if (r >= 0)
        body = cJSON_CreateObject();
    if (r >= 0 && a->by_pass) {
        apply_pass(a, &j);
        r = add_pass(body, a);
    }
    if (r >= 0)
        r = json_add_string(body, "verdict", verdict_name(j.decision.verdict));
    if (r >= 0)
        r = json_add_bool(body, "doubt", j.decision.doubt);
    if (r >= 0)
        r = lookup_add_fits(body, a->found, &j);
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
    const Asked *a = q->scratch;
    int r = 0;

    a->found->has_people = true;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = add_person(q, a, rows, i);
    if (r < 0)
        lan_answer(q, 500, NULL);
    else if (a->by_id && store_rows_count(rows) == 0)
        lan_refuse(q, 404, "lan.no-such-person", "nobody here has this id");
    else
        answer(q);
}

/* NULL: the request was answered. */
static Asked *asked_new(LanRequest *q)
{
    if (!gate_data_bans(q->lan->data)) {
        lan_refuse(q, 503, "lan.no-data", "the box has not read the community's bans yet; ask again in a moment");
        return NULL;
    }
    Asked *a = calloc(1, sizeof(*a));

    q->scratch = a;
    q->scratch_free = a ? asked_free : NULL;
    if (a)
        a->found = lookup_new();
    if (a && a->found)
        return a;
    lan_answer(q, 500, NULL);
    return NULL;
}

static void on_guest(LanRequest *q, const StoreRows *rows)
{
    Asked *a = q->scratch;
    bool known = store_rows_count(rows) > 0;

    a->found->has_people = true;
    a->fault = pass_check_guest(a->fault, known, known && store_rows_true(rows, 0, 5));
    if (known && add_person(q, a, rows, 0) < 0)
        lan_answer(q, 500, NULL);
    else
        answer(q);
}

/* The database is asked nothing for a text that is no pass of this community. */
static void pass(LanRequest *q)
{
    const GateCommunity *c = gate_data_community(q->lan->data);
    const char *text = json_string(q->body, "pass");
    Asked *a = NULL;

    if (!text || strlen(text) > PASS_TEXT_MAX)
        lan_refuse(q, 400, "lan.bad-request", "give pass, a text of at most %d bytes", PASS_TEXT_MAX);
    else
        a = asked_new(q);
    if (!a)
        return;
    a->by_id = a->by_pass = true;
    a->fault = pass_check(c->pass_key, c->id, (int64_t) (realtime_usec() / USEC_PER_SEC), text, &a->pass);
    if (pass_names_guest(a->fault))
        lan_query(q, sql_gate_pass(a->pass.guest, a->pass.id), on_guest);
    else
        answer(q);
}

static void lookup(LanRequest *q)
{
    const BanIndex *bans = gate_data_bans(q->lan->data);
    Asked *a = asked_new(q);

    if (!a)
        return;
    char *id = http_query(q->exchange, "id");
    a->by_id = id != NULL;
    a->typed = id ? id : http_query(q->exchange, "q");
    if (!a->typed || strlen(a->typed) > TYPED_MAX || (a->by_id && !uuid_is_valid(a->typed))) {
        lan_refuse(q, 400, "lan.bad-request", "give q, a text of at most %d bytes, or id", TYPED_MAX);
    } else if (!a->by_id && lookup_add_bans(a->found, bans, a->typed, a->typed, a->typed) < 0) {
        lan_answer(q, 500, NULL);
    } else if (!gate_data_has_database(q->lan->data) && !a->by_id) {
        answer(q);
    } else {
        q->without = a->by_id ? NULL : answer;
        lan_query(q, a->by_id ? sql_gate_person(a->typed) : sql_gate_candidates(a->typed), on_people);
    }
}

const LanRoute lan_lookup_routes[] = {
    { "GET", "/api/lan/lookup", LAN_ABOUT_PEOPLE, lookup },
    { "POST", "/api/lan/pass", LAN_ABOUT_PEOPLE, pass },
    {},
};

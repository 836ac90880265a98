/* SPDX-License-Identifier: MIT */
#include "secbox/lan/sightings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/uuid.h"
#include "lib/data/json.h"
#include "secbox/lan/lookup.h"
#include "secbox/replica/gate-sql.h"

/* That wait for the first reading of bans. */
#define WAITING_MAX 16
/* That wait for the database. A gate sees less in the time of an answer. */
#define JUDGINGS_MAX 32

typedef struct Judging Judging;
struct Judging {
    Sightings *sightings;
    Judging *next;
    Sighting of;
    StoreQuery *query;
};

struct Sightings {
    GateData *data;
    const SightingsEvents *events;
    void *userdata;
    Notices notices;
    Sighting waiting[WAITING_MAX];
    size_t n_waiting;
    Judging *judgings;
    size_t n_judgings;
};

Sightings *sightings_new(GateData *data, const SightingsEvents *events, void *userdata)
{
    Sightings *s = calloc(1, sizeof(*s));

    if (s) {
        s->data = data;
        s->events = events;
        s->userdata = userdata;
    }
    return s;
}

static void judging_free(Judging *j)
{
    Judging **at = &j->sightings->judgings;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    j->sightings->n_judgings--;
    store_query_free(j->query);
    free(j);
}

Sightings *sightings_free(Sightings *s)
{
    if (!s)
        return NULL;
    while (s->judgings)
        judging_free(s->judgings);
    notices_done(&s->notices);
    free(s);
    return NULL;
}

/* Cameras know faces by the names that they were given, or by the id of whom they are of. */
static int add_bans(const Sightings *s, const Sighting *of, Lookup *l)
{
    const BanIndex *bans = gate_data_bans(s->data);

    if (of->kind == SIGHTING_PLATE)
        return lookup_add_bans(l, bans, NULL, of->text, NULL);
    return uuid_is_valid(of->text) ? lookup_add_ban_of_id(l, bans, of->text)
                                   : lookup_add_bans(l, bans, of->text, NULL, NULL);
}

/* By id the record is the person's own. */
static const char *text_to_judge(const Sighting *of, const Lookup *l)
{
    bool by_id = of->kind == SIGHTING_FACE && uuid_is_valid(of->text);

    if (!by_id)
        return of->text;
    for (size_t i = 0; i < l->n; i++)
        if (str_equal(l->ids[i], of->text))
            return l->records[i].name ? l->records[i].name : "";
    return "";
}

/* In how many characters a plate differs from what was read; what is near differs in one (match.h). */
static int distance_of(const Sighting *of, const Lookup *l, const Judgement *j, size_t i, size_t *ret)
{
    if (j->fits[i].match != MATCH_PREFIX) {
        *ret = j->fits[i].match == MATCH_NEAR;
        return 0;
    }
    _cleanup_(freep) char *read = match_plate(of->text), *known = match_plate(l->records[i].plate);
    if (!read || !known)
        return -ENOMEM;
    *ret = strlen(known) - strlen(read);
    return 0;
}

static int add_distance(cJSON *what, const Sighting *of, const Lookup *l, const Judgement *j)
{
    size_t reason = j->decision.reason, distance;
    const char *plate = reason != SIZE_MAX ? l->records[reason].plate : NULL;

    if (of->kind != SIGHTING_PLATE || !plate)
        return 0;
    int r = distance_of(of, l, j, reason, &distance);
    return r < 0 ? r : json_add_int(what, "distance", (int) distance);
}

/* A guest who may come in now, and whom no ban comes near. */
static bool may_come_in(const Lookup *l, const Judgement *j, size_t i)
{
    return l->records[i].kind == RECORD_GUEST && j->fits[i].match != MATCH_NONE &&
           j->fits[i].verdict == VERDICT_AUTHORISED;
}

/* Of a plate that is nobody's, one character may have been misread: then it is still that of whom the guard waits for. */
static int find_near_guest(const Sighting *of, const Lookup *l, const Judgement *j, size_t *ret)
{
    int r = 0;

    for (size_t i = 0; of->kind == SIGHTING_PLATE && i < l->n && *ret == SIZE_MAX && r >= 0; i++) {
        size_t distance = 0;
        if (may_come_in(l, j, i) && l->records[i].plate)
            r = distance_of(of, l, j, i, &distance);
        if (r >= 0 && distance == 1)
            *ret = i;
    }
    return r;
}

/* Residents come and go all day; whom nobody knows a guard sees anyway. Who is expected becomes the reason of what is said. */
static int find_expected(const Sighting *of, const Lookup *l, Judgement *j, bool *ret)
{
    size_t reason = j->decision.reason, guest = SIZE_MAX;
    bool exact = reason != SIZE_MAX && j->fits[reason].match == MATCH_EXACT;

    *ret = exact && may_come_in(l, j, reason);
    if (exact || j->decision.doubt)
        return 0;
    int r = find_near_guest(of, l, j, &guest);
    if (r < 0 || guest == SIZE_MAX)
        return r;
    j->decision.reason = guest;
    *ret = true;
    return 0;
}

static cJSON *describe(const Sighting *of, const Lookup *l, const Judgement *j, bool expected)
{
    cJSON *what = cJSON_CreateObject();
    bool exact = j->decision.reason != SIZE_MAX && j->fits[j->decision.reason].match == MATCH_EXACT;
    int r = json_add_string(what, "verdict", verdict_name(j->decision.verdict));

    if (r >= 0)
        r = json_add_bool(what, "doubt", j->decision.doubt || !exact || !of->sure);
    if (r >= 0)
        r = json_add_bool(what, "expected", expected);
    if (r >= 0)
        r = add_distance(what, of, l, j);
    if (r >= 0)
        r = lookup_add_fits(what, l, j);
    if (r >= 0)
        return what;
    cJSON_Delete(what);
    return NULL;
}

/* The notice of this object by which guards are warned. NULL: they are not. */
static const Notice *find_warning(const Sightings *s, const Sighting *of)
{
    const Notice *n = notices_find(&s->notices, of, boottime_usec());

    return n && !json_bool(n->what, "expected", false) ? n : NULL;
}

static bool is_warning(const Judgement *j)
{
    return j->decision.verdict == VERDICT_BANNED || j->decision.doubt;
}

/* Of a reading that another one is likelier than, only what a guard should be warned of, and is not yet. */
static bool is_of_interest(const Sightings *s, const Sighting *of, const Judgement *j, bool expected)
{
    return of->leads ? is_warning(j) || expected : is_warning(j) && !find_warning(s, of);
}

/* Guards were warned of another reading though this one is likelier: that it is harmless is known later, and changes nothing. */
static bool is_warned_of_another(const Sightings *s, const Sighting *of, const Judgement *j)
{
    const Notice *n = of->leads && !is_warning(j) ? find_warning(s, of) : NULL;

    return n && !n->of.leads;
}

/* What is known so far. `all`: nothing more will be, so what is of no interest is no notice any more. */
static int conclude(Sightings *s, const Sighting *of, const Lookup *l, bool all, bool *ret_banned)
{
    const LocalMoment at = gate_data_moment(s->data, realtime_usec());
    Judgement j = {};
    bool expected = false;
    int r = lookup_judge(l, text_to_judge(of, l), &at, &j);

    if (r >= 0)
        r = find_expected(of, l, &j, &expected);
    if (r < 0)
        return r;
    *ret_banned = j.decision.verdict == VERDICT_BANNED;
    if (is_warned_of_another(s, of, &j))
        return 0;
    if (!is_of_interest(s, of, &j, expected)) {
        if (all && of->leads && notices_drop(&s->notices, of))
            s->events->on_notice(s->userdata);
        return 0;
    }
    cJSON *what = describe(of, l, &j, expected);
    if (!what)
        return -ENOMEM;
    notices_put(&s->notices, of, what, boottime_usec());
    s->events->on_notice(s->userdata);
    if (!notices_picture(&s->notices, of->id))
        s->events->want_picture(of->id, s->userdata);
    return 0;
}

static bool is_there(const Lookup *l, const StoreRows *rows, size_t i)
{
    for (size_t at = 0; at < l->n; at++)
        if (str_equal(l->ids[at], store_rows_get(rows, i, 1)))
            return true;
    return false;
}

static int add_people(const Sightings *s, Lookup *l, const StoreRows *rows)
{
    int r = 0;

    l->has_people = true;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        if (!is_there(l, rows, i))
            r = lookup_add_person(l, gate_data_bans(s->data), rows, i);
    return r;
}

static void failed(const Sighting *of, int r)
{
    log_warning("guards are not told whether what camera %s has seen is of somebody banned or expected: %s", of->camera,
                strerror(-r));
}

static void on_people(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err _unused_, void *userdata)
{
    Judging *j = userdata;
    _cleanup_(lookup_freep) Lookup *l = lookup_new();
    bool banned;

    j->query = NULL;
    /* the database has gone meanwhile: guards know what the bans say */
    if (r >= 0) {
        r = l ? add_bans(j->sightings, &j->of, l) : -ENOMEM;
        if (r >= 0)
            r = add_people(j->sightings, l, rows);
        if (r >= 0)
            r = conclude(j->sightings, &j->of, l, true, &banned);
        if (r < 0)
            failed(&j->of, r);
    }
    judging_free(j);
}

/* What was read before is of no interest any more. */
static void forget_older(Sightings *s, const Sighting *of)
{
    if (!of->leads)
        return;
    for (Judging *j = s->judgings, *next; j; j = next) {
        next = j->next;
        if (j->of.kind == of->kind && str_equal(j->of.id, of->id))
            judging_free(j);
    }
}

static int ask_for_people(Sightings *s, const Sighting *of)
{
    Judging *j = s->n_judgings < JUDGINGS_MAX ? calloc(1, sizeof(*j)) : NULL;
    bool by_id = of->kind == SIGHTING_FACE && uuid_is_valid(of->text);

    if (!j)
        return -ENOMEM;
    *j = (Judging) { .sightings = s, .next = s->judgings, .of = *of };
    s->judgings = j;
    s->n_judgings++;
    Statement ask = by_id                        ? sql_gate_person(j->of.text)
                    : of->kind == SIGHTING_PLATE ? sql_gate_seen(j->of.text)
                                                 : sql_gate_candidates(j->of.text);
    int r = gate_data_query(s->data, ask, on_people, j, &j->query, NULL);
    if (r < 0)
        judging_free(j);
    return r;
}

static void judge(Sightings *s, const Sighting *of)
{
    _cleanup_(lookup_freep) Lookup *l = lookup_new();
    bool people = gate_data_has_database(s->data), banned = false;
    int r = l ? add_bans(s, of, l) : -ENOMEM;

    forget_older(s, of);
    if (r >= 0)
        r = conclude(s, of, l, !people, &banned);
    if (r >= 0 && people && !banned && of->leads)
        r = ask_for_people(s, of);
    if (r < 0)
        failed(of, r);
}

void sightings_take(Sightings *s, const Sighting *of)
{
    usec_t now = realtime_usec();

    if (now > of->at && now - of->at > SIGHTING_AGE_MAX)
        return;
    if (gate_data_bans(s->data)) {
        judge(s, of);
        return;
    }
    if (s->n_waiting == WAITING_MAX)
        memmove(&s->waiting[0], &s->waiting[1], --s->n_waiting * sizeof(s->waiting[0]));
    s->waiting[s->n_waiting++] = *of;
}

void sightings_bans_are_read(Sightings *s)
{
    size_t n = s->n_waiting;

    s->n_waiting = 0;
    for (size_t i = 0; i < n; i++)
        judge(s, &s->waiting[i]);
}

void sightings_take_picture(Sightings *s, const char *id, const void *data, size_t len)
{
    if (notices_set_picture(&s->notices, id, data, len))
        s->events->on_notice(s->userdata);
}

const Notices *sightings_notices(const Sightings *s)
{
    return &s->notices;
}

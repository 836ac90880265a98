/* SPDX-License-Identifier: MIT */
/* Every record is folded once, held against what was typed, and guests and residents against the bans. */
#include "secbox/lan/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"

/* What can be compared of a record, or of what was typed. */
typedef struct Folded {
    char *name, *plate, *document, *code;
} Folded;

const char *verdict_name(Verdict v)
{
    static const char *const names[] = { "DESCONOCIDO", "AUTORIZADO", "VETADO" };

    return names[v];
}

const char *refusal_name(Refusal n)
{
    static const char *const names[] = { "", "not-yet", "expired", "day", "hour", "used-up" };

    return names[n];
}

/* The day on which a window opens that is open at that minute, if it is. */
static unsigned day_of(const TimeWindow *w, const LocalMoment *at)
{
    bool since_yesterday = w->to <= w->from && at->minute < w->to;

    return since_yesterday ? (at->weekday + 6) % 7 : at->weekday;
}

Refusal guest_refusal(const Record *g, const LocalMoment *at)
{
    if (g->from && at->now < g->from)
        return REFUSAL_NOT_YET;
    if (g->until && at->now >= g->until)
        return REFUSAL_EXPIRED;
    if (g->has_uses && g->used >= g->uses)
        return REFUSAL_USED_UP;
    if (!(g->window.days >> day_of(&g->window, at) & 1))
        return REFUSAL_DAY;
    return time_window_is_open(&g->window, at->weekday, at->minute) ? REFUSAL_NONE : REFUSAL_HOUR;
}

bool ban_is_active(const Record *ban, const LocalMoment *at)
{
    return ban->unconfirmed || !ban->until || at->now < ban->until;
}

static void folded_done(Folded *f)
{
    free(f->name);
    free(f->plate);
    free(f->document);
    free(f->code);
}

static int fold_one(char *(*fold)(const char *), const char *text, char **ret)
{
    *ret = fold(text ? text : "");
    return *ret ? 0 : -ENOMEM;
}

static int fold_record(const Record *r, Folded *ret)
{
    int a = fold_one(match_name, r->name, &ret->name), b = fold_one(match_plate, r->plate, &ret->plate);
    int c = fold_one(match_plate, r->document, &ret->document), d = fold_one(match_plate, r->code, &ret->code);

    return a < 0 || b < 0 || c < 0 || d < 0 ? -ENOMEM : 0;
}

static MatchKind better(MatchKind a, MatchKind b)
{
    return a < b ? a : b;
}

/* Codes and documents fit wholly or not at all: nobody guesses at them. */
static MatchKind whole(const char *a, const char *b)
{
    return *a && str_equal(a, b) ? MATCH_EXACT : MATCH_NONE;
}

static MatchKind compare(const Folded *typed, const Folded *known)
{
    MatchKind m = better(match_plates(typed->plate, known->plate), match_names(typed->name, known->name));

    m = better(m, whole(typed->document, known->document));
    return better(m, whole(typed->code, known->code));
}

/* The best fit of any active ban. */
static MatchKind banned(const Folded *who, const Record *records, const Folded *folded, size_t n, const LocalMoment *at)
{
    MatchKind m = MATCH_NONE;

    for (size_t i = 0; i < n && m != MATCH_EXACT; i++)
        if (records[i].kind == RECORD_BAN && ban_is_active(&records[i], at))
            m = better(m, compare(who, &folded[i]));
    return m;
}

/* What a person is called and drives is whole: that a ban begins alike is chance, one edit or a name that looks alike is not. */
static void judge_person(const Record *r, MatchKind ban, const LocalMoment *at, Fit *f)
{
    f->refusal = r->kind == RECORD_GUEST ? guest_refusal(r, at) : REFUSAL_NONE;
    f->doubt = ban == MATCH_NEAR;
    f->verdict = ban == MATCH_EXACT                       ? VERDICT_BANNED
                 : f->doubt || f->refusal != REFUSAL_NONE ? VERDICT_UNKNOWN
                                                          : VERDICT_AUTHORISED;
}

static void judge(const Folded *typed, const Record *records, const Folded *folded, size_t n, size_t i,
                  const LocalMoment *at, Fit *f)
{
    const Record *r = &records[i];

    *f = (Fit) { .match = compare(typed, &folded[i]) };
    if (f->match == MATCH_NONE)
        return;
    if (r->kind != RECORD_BAN) {
        judge_person(r, banned(&folded[i], records, folded, n, at), at, f);
    } else if (ban_is_active(r, at)) {
        f->verdict = VERDICT_BANNED;
    } else {
        f->refusal = REFUSAL_EXPIRED;
    }
}

/* Higher counts for more; 0: it says nothing. */
static int weight(const Record *r, const Fit *f)
{
    bool active_ban = r->kind == RECORD_BAN && f->verdict == VERDICT_BANNED;

    if (f->match == MATCH_NONE)
        return 0;
    if (f->match == MATCH_EXACT && f->verdict == VERDICT_BANNED)
        return 6;
    if (active_ban || (f->match == MATCH_EXACT && f->doubt))
        return f->match == MATCH_PREFIX ? 4 : 5;
    if (f->match == MATCH_EXACT)
        return f->verdict == VERDICT_AUTHORISED ? 3 : 2;
    return 1;
}

static void decide(const Record *records, const Fit *fits, size_t n, Decision *d)
{
    int best = 0;

    *d = (Decision) { .reason = SIZE_MAX };
    for (size_t i = 0; i < n; i++) {
        int w = weight(&records[i], &fits[i]);
        if (w > best) {
            best = w;
            d->reason = i;
        }
    }
    d->verdict = best == 6 ? VERDICT_BANNED : best == 3 ? VERDICT_AUTHORISED : VERDICT_UNKNOWN;
    d->doubt = best == 4 || best == 5;
}

int verdict_decide(const char *typed, const Record *records, size_t n, const LocalMoment *at, Fit *fits, Decision *ret)
{
    const Record asked = { .name = typed, .plate = typed, .document = typed, .code = typed };
    Folded *folded = calloc(n + 1, sizeof(*folded));
    int r = folded ? fold_record(&asked, &folded[n]) : -ENOMEM;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = fold_record(&records[i], &folded[i]);
    for (size_t i = 0; i < n && r >= 0; i++)
        judge(&folded[n], records, folded, n, i, at, &fits[i]);
    if (r >= 0)
        decide(records, fits, n, ret);
    for (size_t i = 0; folded && i <= n; i++)
        folded_done(&folded[i]);
    free(folded);
    return r;
}

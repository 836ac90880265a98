/* SPDX-License-Identifier: MIT */
#include "secbox/matches/match-rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"

/* Texts that are weighed against each other; another one takes the place of the weakest. */
#define TEXTS_MAX 4

typedef struct Text {
    Reading best;
    double sum;
    unsigned n;
    bool decided; /* Frigate has taken the object for it */
    bool told;    /* by on_seen */
} Text;

typedef struct Finding {
    Text texts[TEXTS_MAX];
    size_t n;
    usec_t first, changed;      /* the first reading, and when another text began to lead */
    char seen[READING_MAX + 1]; /* what on_seen was told last */
    bool seen_sure;
    char settled[READING_MAX + 1];
} Finding;

typedef struct Track Track;
struct Track {
    Track *next; /* older ones */
    char id[FRIGATE_ID_SIZE], camera[CAMERA_NAME_MAX + 1];
    usec_t started, at, last;
    bool ended;
    Finding findings[_SIGHTING_KINDS];
};

struct MatchRules {
    const MatchRulesEvents *events;
    void *userdata;
    Track *tracks;
    size_t n;
};

MatchRules *match_rules_new(const MatchRulesEvents *events, void *userdata)
{
    MatchRules *m = calloc(1, sizeof(*m));

    if (m) {
        m->events = events;
        m->userdata = userdata;
    }
    return m;
}

static void forget(MatchRules *m, Track **at)
{
    Track *t = *at;

    *at = t->next;
    free(t);
    m->n--;
}

MatchRules *match_rules_free(MatchRules *m)
{
    if (!m)
        return NULL;
    while (m->tracks)
        forget(m, &m->tracks);
    free(m);
    return NULL;
}

static void make_room(MatchRules *m)
{
    Track **victim = NULL;

    for (Track **at = &m->tracks; *at; at = &(*at)->next)
        if (!victim || (*at)->ended || !(*victim)->ended)
            victim = at;
    if (victim && m->n >= MATCH_TRACKS_MAX)
        forget(m, victim);
}

static Track *track_of(MatchRules *m, const ObjectNews *news)
{
    for (Track *t = m->tracks; t; t = t->next)
        if (str_equal(t->id, news->id))
            return t;
    make_room(m);
    Track *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    memcpy(t->id, news->id, sizeof(t->id));
    memcpy(t->camera, news->camera, sizeof(t->camera));
    t->started = news->started;
    t->next = m->tracks;
    m->tracks = t;
    m->n++;
    return t;
}

static const Text *leader(const Finding *f)
{
    const Text *best = NULL;

    for (size_t i = 0; i < f->n; i++) {
        const Text *t = &f->texts[i];
        if (!best || (t->decided && !best->decided) || (t->decided == best->decided && t->sum > best->sum))
            best = t;
    }
    return best;
}

static Text *text_of(Finding *f, const char *text)
{
    Text *weakest = f->texts;

    for (size_t i = 0; i < f->n; i++) {
        if (str_equal(f->texts[i].best.text, text))
            return &f->texts[i];
        if (!f->texts[i].decided && (weakest->decided || f->texts[i].sum < weakest->sum))
            weakest = &f->texts[i];
    }
    Text *t = f->n < TEXTS_MAX ? &f->texts[f->n++] : weakest;
    *t = (Text) { .best.score = READING_NO_SCORE };
    memcpy(t->best.text, text, strnlen(text, READING_MAX));
    return t;
}

static bool is_sure(const Text *t)
{
    return t->decided || t->best.score >= MATCH_SURE;
}

static Sighting sighting_of(const Track *t, SightingKind kind, const Text *text)
{
    bool leads = text == leader(&t->findings[kind]);
    Sighting s = { .kind = kind,
                   .score = text->best.score,
                   .readings = text->n,
                   .sure = leads && is_sure(text),
                   .leads = leads,
                   .at = t->at };

    memcpy(s.id, t->id, sizeof(s.id));
    memcpy(s.camera, t->camera, sizeof(s.camera));
    memcpy(s.text, text->best.text, sizeof(s.text));
    return s;
}

/* What Frigate has kept of an object counts without a score, too. */
static bool counts(const Reading *r, SightingKind kind, bool attempt)
{
    double min = kind == SIGHTING_FACE ? MATCH_FACE_MIN : MATCH_PLATE_MIN;

    return r->text[0] && (r->score >= min || (!attempt && r->score == READING_NO_SCORE));
}

static Text *weigh(Finding *f, SightingKind kind, const Reading *r, const ObjectNews *news, usec_t now)
{
    const Text *before = leader(f);
    Text *t = text_of(f, r->text);

    /* what Frigate keeps of an object it says again with everything else that changes */
    if (news->attempt || t->n == 0) {
        t->sum += r->score > 0 ? r->score : 0;
        t->n++;
    }
    /* at the end that is what all readings came to */
    if (!news->attempt && news->ended && t->n < MATCH_REPEATED)
        t->n = MATCH_REPEATED;
    if (r->score > t->best.score)
        t->best.score = r->score;
    /* a face's name is kept when it is sure; a plate always */
    t->decided |= !news->attempt && kind == SIGHTING_FACE;
    if (!before)
        f->first = now;
    if (!before || !str_equal(leader(f)->best.text, f->seen))
        f->changed = now;
    return t;
}

/* Whoever is banned must not pass because another reading was first. */
static void tell_other(MatchRules *m, const Track *t, SightingKind kind, Text *text)
{
    const Sighting s = sighting_of(t, kind, text);

    if (!s.leads && !text->told)
        m->events->on_seen(&s, m->userdata);
    text->told = true;
}

static void tell_leader(MatchRules *m, Track *t, SightingKind kind)
{
    Finding *f = &t->findings[kind];
    const Sighting s = sighting_of(t, kind, leader(f));

    if (str_equal(f->seen, s.text) && (f->seen_sure || !s.sure))
        return;
    memcpy(f->seen, s.text, sizeof(f->seen));
    f->seen_sure = s.sure;
    m->events->on_seen(&s, m->userdata);
}

/* USEC_INFINITY: there is nothing that the cloud has to be told. */
static usec_t settles_at(const Track *t, SightingKind kind)
{
    const Finding *f = &t->findings[kind];
    const Text *best = leader(f);
    usec_t still = f->changed + MATCH_SETTLE, latest = f->first + MATCH_SETTLE_MAX;

    if (!best || (!is_sure(best) && best->n < MATCH_REPEATED) || str_equal(best->best.text, f->settled))
        return USEC_INFINITY;
    return t->ended ? 0 : still < latest ? still : latest;
}

static usec_t settle(MatchRules *m, Track *t, SightingKind kind, usec_t now)
{
    usec_t at = settles_at(t, kind);

    if (at == USEC_INFINITY || at > now)
        return at;
    const Sighting s = sighting_of(t, kind, leader(&t->findings[kind]));
    memcpy(t->findings[kind].settled, s.text, sizeof(s.text));
    m->events->on_settled(&s, m->userdata);
    return USEC_INFINITY;
}

int match_rules_take(MatchRules *m, const ObjectNews *news, usec_t now)
{
    const Reading *const readings[] = { [SIGHTING_PLATE] = &news->plate, [SIGHTING_FACE] = &news->face };
    Track *t = track_of(m, news);

    if (!t)
        return -ENOMEM;
    t->last = now;
    t->ended |= news->ended;
    if (news->at > t->at)
        t->at = news->at;
    if (t->at == 0)
        t->at = t->started;
    for (SightingKind kind = 0; kind < _SIGHTING_KINDS; kind++)
        if (counts(readings[kind], kind, news->attempt)) {
            Text *text = weigh(&t->findings[kind], kind, readings[kind], news, now);
            tell_other(m, t, kind, text);
            tell_leader(m, t, kind);
        }
    return 0;
}

usec_t match_rules_tick(MatchRules *m, usec_t now)
{
    usec_t next = USEC_INFINITY;

    for (Track **at = &m->tracks; *at;) {
        Track *t = *at;
        for (SightingKind kind = 0; kind < _SIGHTING_KINDS; kind++) {
            usec_t due = settle(m, t, kind, now);
            next = due < next ? due : next;
        }
        if (now - t->last > (t->ended ? MATCH_LATE : MATCH_FORGET))
            forget(m, at);
        else
            at = &t->next;
    }
    return next;
}

void match_rules_tell_again(MatchRules *m)
{
    for (Track *t = m->tracks; t; t = t->next)
        for (SightingKind kind = 0; kind < _SIGHTING_KINDS; kind++)
            t->findings[kind].settled[0] = '\0';
}

usec_t match_rules_open_since(const MatchRules *m)
{
    usec_t since = USEC_INFINITY;

    for (const Track *t = m->tracks; t; t = t->next)
        if (!t->ended && t->started < since)
            since = t->started;
    return since;
}

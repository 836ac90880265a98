/* SPDX-License-Identifier: MIT */
/* Whatever Frigate says of what it sees: what is told has ids and cameras' names that may become paths, readings are whole and
 * within their bounds, and the rules take all of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "secbox/matches/match-rules.h"

#define SECOND USEC_PER_SEC

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
    if (!is_so)
        abort();
}

static void on_sighting(const Sighting *s, void *userdata)
{
    (void) userdata;
    check(s->text[0] && s->readings > 0 && frigate_id_is_valid(s->id));
    check(s->score == READING_NO_SCORE || (s->score >= MATCH_PLATE_MIN && s->score <= 1));
}

static const MatchRulesEvents rules_events = { .on_seen = on_sighting, .on_settled = on_sighting };

static void on_object(const ObjectNews *o, void *userdata)
{
    check(frigate_id_is_valid(o->id) && camera_name_is_valid(o->camera) && o->started > 0);
    check(strlen(o->face.text) <= READING_MAX && strlen(o->plate.text) <= READING_MAX);
    (void) !match_rules_take(userdata, o, SECOND);
}

static void on_review(const ReviewNews *r, void *userdata)
{
    (void) userdata;
    check(frigate_id_is_valid(r->id) && camera_name_is_valid(r->camera) && r->from > 0);
    check(r->n_objects <= NEWS_LABELS_MAX && r->n_zones <= NEWS_LABELS_MAX);
}

static const NewsEvents news_events = { .on_object = on_object, .on_review = on_review };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MatchRules *rules = match_rules_new(&rules_events, NULL);
    const char *text = (const char *) data;
    usec_t first;

    if (!rules)
        return 0;
    (void) !frigate_news_message(text, size, &news_events, rules, NULL);
    (void) !frigate_news_events(text, size, &news_events, rules, &first, NULL);
    (void) !frigate_news_reviews(text, size, &news_events, rules, &first, NULL);
    for (usec_t now = SECOND; now < MATCH_FORGET; now += MATCH_FORGET / 4)
        (void) match_rules_tick(rules, now);
    (void) match_rules_tick(rules, MATCH_FORGET + 2 * SECOND);
    check(match_rules_open_since(rules) == USEC_INFINITY);
    match_rules_free(rules);
    return 0;
}

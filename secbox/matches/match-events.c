/* SPDX-License-Identifier: MIT */
#include "secbox/matches/match-events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define UUID7_RANDOM 10
#define SCORE_STEPS 1000.0

void match_event_done(MatchEvent *e)
{
    cJSON_Delete(e->data);
    *e = (MatchEvent) {};
}

/* In place of random bits: a digest of what it is about. */
static int make_id(const char *device, const char *kind, const char *id, const char *text, char ret[static UUID_SIZE])
{
    _cleanup_(freep) char *all = str_format("%s\n%s\n%s\n%s", device, kind, id, text);
    uint8_t digest[SHA256_SIZE];
    int r = all ? sha256(all, strlen(all), digest) : -ENOMEM;

    if (r >= 0)
        uuid7_format(frigate_id_time(id) / USEC_PER_MSEC, digest, ret);
    return r;
}

/* Three digits: what lies behind them says nothing. */
static int add_score(cJSON *data, double score)
{
    double rounded = (double) (int) (score * SCORE_STEPS + 0.5) / SCORE_STEPS;

    if (score == READING_NO_SCORE)
        return 0;
    return cJSON_AddNumberToObject(data, "score", rounded) ? 0 : -ENOMEM;
}

int match_event_of_sighting(const Sighting *s, const char *device, MatchEvent *ret)
{
    bool face = s->kind == SIGHTING_FACE;
    MatchEvent e = { .kind = face ? "face.match" : "plate.match", .data = cJSON_CreateObject(), .at = s->at };
    int r = e.data ? json_add_string(e.data, "camera", s->camera) : -ENOMEM;

    if (r >= 0)
        r = json_add_string(e.data, "object", s->id);
    if (r >= 0)
        r = json_add_string(e.data, face ? "name" : "plate", s->text);
    if (r >= 0)
        r = add_score(e.data, s->score);
    if (r >= 0)
        r = json_add_bool(e.data, "sure", s->sure);
    if (r >= 0)
        r = make_id(device, e.kind, s->id, s->text, e.client_id);
    if (r < 0)
        match_event_done(&e);
    *ret = e;
    return r;
}

static int add_labels(cJSON *data, const char *name, const char labels[][NEWS_LABEL_SIZE], size_t n)
{
    cJSON *list = cJSON_CreateArray();
    int r = json_add_item(data, name, list);

    for (size_t i = 0; i < n && r >= 0; i++)
        r = json_append(list, cJSON_CreateString(labels[i]));
    return r;
}

int match_event_of_review(const ReviewNews *v, const char *device, MatchEvent *ret)
{
    MatchEvent e = { .kind = "motion.clip", .data = cJSON_CreateObject(), .at = v->from };
    char time[TIMESTAMP_SIZE];
    int r = e.data ? json_add_string(e.data, "camera", v->camera) : -ENOMEM;

    if (r >= 0)
        r = json_add_string(e.data, "review", v->id);
    if (r >= 0)
        r = json_add_string(e.data, "from", timestamp_format(v->from, time));
    if (r >= 0)
        r = json_add_string(e.data, "until", timestamp_format(v->until, time));
    if (r >= 0)
        r = json_add_string(e.data, "severity", v->alert ? "alert" : "detection");
    if (r >= 0)
        r = add_labels(e.data, "objects", v->objects, v->n_objects);
    if (r >= 0)
        r = add_labels(e.data, "zones", v->zones, v->n_zones);
    if (r >= 0)
        r = make_id(device, e.kind, v->id, "", e.client_id);
    if (r < 0)
        match_event_done(&e);
    *ret = e;
    return r;
}

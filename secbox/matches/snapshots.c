/* SPDX-License-Identifier: MIT */
#include "secbox/matches/snapshots.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/mjpeg-viewer.h"

#define TRIES_MAX 6
#define RETRY (USEC_PER_SEC / 2)

typedef struct Ask Ask;
struct Ask {
    Snapshots *snapshots;
    Ask *next;
    char id[FRIGATE_ID_SIZE];
    HttpCall *call;
    sd_event_source *timer;
    unsigned tries;
};

struct Snapshots {
    sd_event *event;
    Frigate *frigate;
    snapshot_taken_t on_taken;
    void *userdata;
    Ask *asks;
    size_t n;
};

static void ask_free(Ask *a)
{
    Ask **at = &a->snapshots->asks;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->snapshots->n--;
    http_call_free(a->call);
    sd_event_source_disable_unref(a->timer);
    free(a);
}

Snapshots *snapshots_new(sd_event *event, Frigate *frigate, snapshot_taken_t on_taken, void *userdata)
{
    Snapshots *s = calloc(1, sizeof(*s));

    if (s)
        *s = (Snapshots) {
            .event = sd_event_ref(event), .frigate = frigate, .on_taken = on_taken, .userdata = userdata
        };
    return s;
}

Snapshots *snapshots_free(Snapshots *s)
{
    if (!s)
        return NULL;
    while (s->asks)
        ask_free(s->asks);
    sd_event_unref(s->event);
    free(s);
    return NULL;
}

static int ask_now(sd_event_source *source, uint64_t usec, void *userdata);

static void ask_again(Ask *a)
{
    if (a->tries == TRIES_MAX || timer_arm(a->snapshots->event, &a->timer, RETRY << a->tries, ask_now, a) < 0) {
        log_info("there is no picture of %s", a->id);
        ask_free(a);
    }
}

static void on_answer(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err _unused_,
                      void *userdata)
{
    Ask *a = userdata;

    a->call = NULL;
    if (r < 0 || response->status != 200 || !picture_is_jpeg(response->body, response->body_len)) {
        ask_again(a);
        return;
    }
    a->snapshots->on_taken(a->id, response->body, response->body_len, a->snapshots->userdata);
    ask_free(a);
}

static int ask_now(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Ask *a = userdata;
    const FrigateRequest request = { .what = FRIGATE_SNAPSHOT, .id = a->id, .height = SNAPSHOT_HEIGHT };

    a->tries++;
    if (frigate_get(a->snapshots->frigate, &request, on_answer, a, &a->call, NULL) < 0)
        ask_again(a);
    return 0;
}

void snapshots_ask(Snapshots *s, const char *id)
{
    for (const Ask *other = s->asks; other; other = other->next)
        if (str_equal(other->id, id))
            return;
    Ask *a = s->n < SNAPSHOTS_MAX && frigate_id_is_valid(id) ? calloc(1, sizeof(*a)) : NULL;
    if (!a)
        return;
    *a = (Ask) { .snapshots = s, .next = s->asks };
    memcpy(a->id, id, strlen(id));
    s->asks = a;
    s->n++;
    if (timer_arm(s->event, &a->timer, 0, ask_now, a) < 0)
        ask_free(a);
}

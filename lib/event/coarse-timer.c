/* SPDX-License-Identifier: MIT */
/* The wheel: a timer lies in the slot of its second modulo SLOTS, and is looked at whenever that comes by. */
#include "lib/event/coarse-timer.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/event/daemon.h"

#define SLOTS 64

struct CoarseClock {
    sd_event *event;
    sd_event_source *tick; /* armed while there are timers */
    CoarseTimer *slots[SLOTS];
    uint64_t done; /* the step up to which all slots were looked at */
    size_t n;
    unsigned refs;
    bool ticking;
};

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata);

int coarse_clock_new(sd_event *event, CoarseClock **ret)
{
    CoarseClock *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->event = sd_event_ref(event);
    c->refs = 1;
    *ret = c;
    return 0;
}

CoarseClock *coarse_clock_ref(CoarseClock *c)
{
    c->refs++;
    return c;
}

static void unlink_timer(CoarseTimer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->clock->n--;
    t->link = NULL;
    t->clock = NULL;
}

CoarseClock *coarse_clock_unref(CoarseClock *c)
{
    if (!c || --c->refs > 0)
        return NULL;
    for (size_t i = 0; i < SLOTS; i++)
        while (c->slots[i])
            unlink_timer(c->slots[i]);
    sd_event_source_disable_unref(c->tick);
    sd_event_unref(c->event);
    free(c);
    return NULL;
}

static int start_ticking(CoarseClock *c, usec_t now)
{
    int r = timer_arm(c->event, &c->tick, COARSE_STEP - now % COARSE_STEP, on_tick, c);

    c->ticking = r >= 0;
    return r;
}

static void fire_slot(CoarseClock *c, CoarseTimer **slot, usec_t now)
{
    CoarseTimer **at = slot;

    while (*at) {
        CoarseTimer *t = *at;
        if (t->at > now) { /* of another turn of the wheel */
            at = &t->next;
            continue;
        }
        unlink_timer(t);
        t->fire(t->userdata);
        if (c->refs == 1) /* the tick's own: nobody else is left */
            return;
        at = slot; /* it may have changed anything */
    }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    CoarseClock *c = coarse_clock_ref(userdata);
    usec_t now = boottime_usec();
    uint64_t step = now / COARSE_STEP, first = step - c->done >= SLOTS ? step - SLOTS + 1 : c->done + 1;
    int r = 0;

    (void) source;
    (void) usec;
    c->ticking = false;
    c->done = step;
    for (uint64_t i = first; i <= step && c->refs > 1; i++)
        fire_slot(c, &c->slots[i % SLOTS], now);
    if (c->refs > 1 && c->n > 0 && !c->ticking)
        r = start_ticking(c, now);
    coarse_clock_unref(c);
    return r;
}

int coarse_timer_arm(CoarseClock *c, CoarseTimer *t, usec_t delay, void (*fire)(void *userdata), void *userdata)
{
    usec_t now = boottime_usec();

    coarse_timer_disarm(t);
    if (c->n == 0)
        c->done = now / COARSE_STEP;
    if (!c->ticking) {
        int r = start_ticking(c, now);
        if (r < 0)
            return r;
    }
    t->at = delay > USEC_INFINITY - now - COARSE_STEP ? USEC_INFINITY - COARSE_STEP : now + delay;
    t->fire = fire;
    t->userdata = userdata;
    t->clock = c;
    /* the slot of the next second that begins behind it */
    CoarseTimer **slot = &c->slots[(t->at / COARSE_STEP + 1) % SLOTS];
    t->next = *slot;
    if (t->next)
        t->next->link = &t->next;
    t->link = slot;
    *slot = t;
    c->n++;
    return 0;
}

void coarse_timer_disarm(CoarseTimer *t)
{
    if (t->link)
        unlink_timer(t);
}

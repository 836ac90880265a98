/* SPDX-License-Identifier: MIT */
#include "secbox/matches/catch-up.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"

struct CatchUp {
    Frigate *frigate;
    const CatchUpEvents *events;
    void *userdata;
    HttpCall *call;
    FrigateKind what;
    usec_t after, before, end;
    usec_t skip;           /* by how much `before` went back because one element alone was too large; 0: it did not */
    unsigned pages, limit; /* those that were read; elements of a page */
};

CatchUp *catch_up_new(Frigate *frigate, const CatchUpEvents *events, void *userdata)
{
    CatchUp *c = calloc(1, sizeof(*c));

    if (c) {
        c->frigate = frigate;
        c->events = events;
        c->userdata = userdata;
    }
    return c;
}

CatchUp *catch_up_free(CatchUp *c)
{
    if (!c)
        return NULL;
    http_call_free(c->call);
    free(c);
    return NULL;
}

bool catch_up_is_running(const CatchUp *c)
{
    return c->call != NULL;
}

static void ask_page(CatchUp *c);

static void next_page(CatchUp *c, int n, usec_t first)
{
    bool more = n >= (int) c->limit && first <= c->before;

    c->pages++;
    if (more && c->pages >= CATCH_UP_PAGES_MAX) {
        log_warning("Frigate has seen more since it was heard last than is asked for: what is older is not reported");
        more = false;
    }
    if (more) {
        /* two may have begun in the same moment, one on each page; Frigate's times are finer than these, and are rounded */
        c->before = first + 1 < c->before ? first + 1 : first < c->before ? first : first - 1;
        c->limit = 2 * c->limit < CATCH_UP_PAGE ? 2 * c->limit : CATCH_UP_PAGE;
        ask_page(c);
    } else if (c->what == FRIGATE_EVENTS) {
        c->what = FRIGATE_REVIEWS;
        c->before = c->end;
        c->pages = 0;
        c->limit = CATCH_UP_PAGE;
        ask_page(c);
    } else {
        c->events->on_done(0, 0, NULL, c->userdata);
    }
}

/* What Frigate followed for hours has a long path. False: nothing smaller can be asked for. */
static bool ask_less(CatchUp *c)
{
    char time[TIMESTAMP_SIZE];

    if (c->limit > 1) {
        c->limit /= 2;
    } else if (c->before > c->after) {
        /* when it began is not known: ever further back something else is the newest */
        if (c->skip == 0)
            log_warning("what Frigate has seen last before %s is not reported: it is larger than what is read",
                        timestamp_format(c->before, time));
        c->skip = c->skip > 0 ? 2 * c->skip : USEC_PER_SEC;
        c->before = c->before - c->after > c->skip ? c->before - c->skip : c->after;
    } else {
        return false;
    }
    ask_page(c);
    return true;
}

static void on_page(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    CatchUp *c = userdata;
    _cleanup_(error_done) Error why = {};
    usec_t first = USEC_INFINITY;

    c->call = NULL;
    if (r >= 0 && response->status != 200)
        r = error_set(&why, EBADMSG, "camera.frigate-answer", "Frigate answers with HTTP status %d", response->status);
    else if (r >= 0 && c->what == FRIGATE_EVENTS)
        r = frigate_news_events(response->body, response->body_len, &c->events->news, c->userdata, &first, &why);
    else if (r >= 0)
        r = frigate_news_reviews(response->body, response->body_len, &c->events->news, c->userdata, &first, &why);
    bool too_large = r == -EMSGSIZE || (r < 0 && str_equal(error_id(err), "http.too-large"));
    if (too_large && ask_less(c))
        return;
    c->skip = 0;
    if (r < 0)
        c->events->on_done(r, response ? response->status : 0, why.id ? &why : err, c->userdata);
    else
        next_page(c, r, first);
}

static void ask_page(CatchUp *c)
{
    _cleanup_(error_done) Error err = {};
    const FrigateRequest page = { .what = c->what, .after = c->after, .before = c->before, .limit = c->limit };
    int r = frigate_get(c->frigate, &page, on_page, c, &c->call, &err);

    if (r < 0)
        c->events->on_done(r, 0, &err, c->userdata);
}

void catch_up_start(CatchUp *c, usec_t after, usec_t before)
{
    c->call = http_call_free(c->call);
    c->what = FRIGATE_EVENTS;
    c->after = after;
    c->before = c->end = before;
    c->pages = 0;
    c->skip = 0;
    c->limit = CATCH_UP_PAGE;
    ask_page(c);
}

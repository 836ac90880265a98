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
    unsigned pages, limit; /* of elements of a page */
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
    bool more = n >= (int) c->limit && first < c->before;

    if (more && c->pages == CATCH_UP_PAGES_MAX) {
        log_warning("Frigate has seen more since it was heard last than is asked for: what is older is not reported");
        more = false;
    }
    if (more) {
        /* two may have begun in the same moment, one on each page */
        c->before = first + 1 < c->before ? first + 1 : first;
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
    if (r < 0 && str_equal(error_id(err), "http.too-large") && c->limit > 1) {
        /* the path of something that was followed for hours is long */
        c->limit /= 2;
        ask_page(c);
    } else if (r < 0) {
        c->events->on_done(r, response ? response->status : 0, why.id ? &why : err, c->userdata);
    } else {
        next_page(c, r, first);
    }
}

static void ask_page(CatchUp *c)
{
    _cleanup_(error_done) Error err = {};
    const FrigateRequest page = { .what = c->what, .after = c->after, .before = c->before, .limit = c->limit };
    int r = frigate_get(c->frigate, &page, on_page, c, &c->call, &err);

    c->pages++;
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
    c->limit = CATCH_UP_PAGE;
    ask_page(c);
}

/* SPDX-License-Identifier: MIT */
/* What Frigate has seen while nobody listened, by its /api/events and /api/review: newest first, page by page. */
#pragma once

#include <systemd/sd-event.h>

#include "secbox/matches/frigate-news.h"

/* So many pages of each are read; what is older than they reach is lost, and so is one that alone is larger than HTTP_BODY_MAX or
 * JSON_VALUES_MAX let it be, maybe with some that began shortly before it. */
#define CATCH_UP_PAGES_MAX 200
#define CATCH_UP_PAGE 50

typedef struct CatchUp CatchUp;

typedef struct CatchUpEvents {
    NewsEvents news;
    /* r < 0: not all was read, for the reason in err; http_status as of a refusal, else 0. Also from inside
     * catch_up_start(). */
    void (*on_done)(int r, int http_status, const Error *err, void *userdata);
} CatchUpEvents;

CatchUp *catch_up_new(Frigate *frigate, const CatchUpEvents *events, void *userdata);
/* Nothing is called any more. NULL-safe. */
CatchUp *catch_up_free(CatchUp *c);
DEFINE_CLEANUP(CatchUp, catch_up_free)

/* From what began at `after` to what begins at `before`, both since 1970. One that is under way is given up, without on_done. */
void catch_up_start(CatchUp *c, usec_t after, usec_t before);
bool catch_up_is_running(const CatchUp *c);

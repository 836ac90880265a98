/* SPDX-License-Identifier: MIT */
/* See operator-tokens.h. */
#include "gateway/auth/operator-tokens.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/store/tokens-table.h"
#include "lib/base/map.h"
#include "lib/event/daemon.h"

#define LOOK_INTERVAL (1 * USEC_PER_SEC)
/* Who waits for one round; each holds a connection. */
#define WAITING_MAX 512

struct OperatorTokens {
    sd_event *event;
    Store *store;
    operator_tokens_read_t on_read;
    void *userdata;
    Map *hashes; /* as a set */
    StoreQuery *query;
    sd_event_source *timer;
    usec_t last;        /* CLOCK_BOOTTIME, when a round began */
    uint64_t round;     /* the one that began last */
    unsigned n_waiting; /* for the next one */
    bool due;           /* it will begin */
};

static void round_begin_later(OperatorTokens *t);

OperatorTokens *operator_tokens_new(sd_event *event, Store *store, operator_tokens_read_t on_read, void *userdata)
{
    OperatorTokens *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    *t = (OperatorTokens) {
        .event = event, .store = store, .on_read = on_read, .userdata = userdata, .hashes = map_new(NULL)
    };
    return t->hashes ? t : operator_tokens_free(t);
}

OperatorTokens *operator_tokens_free(OperatorTokens *t)
{
    if (!t)
        return NULL;
    store_query_free(t->query);
    sd_event_source_disable_unref(t->timer);
    map_free(t->hashes);
    free(t);
    return NULL;
}

bool operator_tokens_has(const OperatorTokens *t, const char *hash)
{
    return map_get(t->hashes, hash);
}

void operator_tokens_forget(OperatorTokens *t, const char *hash)
{
    map_remove(t->hashes, hash);
}

static int adopt(OperatorTokens *t, const StoreRows *rows)
{
    _cleanup_(map_freep) Map *hashes = map_new(NULL);
    if (!hashes)
        return -ENOMEM;
    for (size_t i = 0; i < store_rows_count(rows); i++)
        if (map_put(hashes, store_rows_get(rows, i, 0), t) < 0)
            return -ENOMEM;
    map_free(t->hashes);
    t->hashes = TAKE_PTR(hashes);
    return 0;
}

static void round_over(OperatorTokens *t, int r)
{
    uint64_t round = t->round;
    if (t->n_waiting > 0)
        round_begin_later(t);
    t->on_read(round, r, t->userdata);
}

static void on_rows(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err _unused_, void *userdata)
{
    OperatorTokens *t = userdata;
    t->query = NULL;
    round_over(t, r < 0 ? r : adopt(t, rows));
}

static int on_due(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    OperatorTokens *t = userdata;
    t->due = false;
    t->n_waiting = 0;
    t->round++;
    t->last = boottime_usec();
    int r = store_query(t->store, sql_token_hashes(), on_rows, t, &t->query, NULL);
    if (r < 0)
        round_over(t, r);
    return 0;
}

static void round_begin_later(OperatorTokens *t)
{
    usec_t passed = boottime_usec() - t->last;
    usec_t delay = t->last > 0 && passed < LOOK_INTERVAL ? LOOK_INTERVAL - passed : 0;
    t->due = timer_arm(t->event, &t->timer, delay, on_due, t) >= 0;
}

int operator_tokens_look(OperatorTokens *t, uint64_t *ret_round, Error *err)
{
    if (t->n_waiting >= WAITING_MAX)
        return error_set(err, ENOBUFS, "auth.busy",
                         "too many tokens that nobody knows are shown at once: try again in some seconds");
    if (!t->due && !t->query)
        round_begin_later(t);
    if (!t->due && !t->query)
        return -ENOMEM;
    t->n_waiting++;
    *ret_round = t->round + 1;
    return 0;
}

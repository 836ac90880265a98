/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/token-watch.h"

#include <stdlib.h>

#include "gateway/store/grants-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"

struct TokenWatch {
    Store *store;
    const char *who;
    char **noted;
    StoreQuery *query;
    token_withdrawn_t on_withdrawn;
    void *userdata;
};

TokenWatch *token_watch_new(Store *store, const char *who, token_withdrawn_t on_withdrawn, void *userdata)
{
    TokenWatch *w = calloc(1, sizeof(*w));

    if (w)
        *w = (TokenWatch) { .store = store, .who = who, .on_withdrawn = on_withdrawn, .userdata = userdata };
    return w;
}

TokenWatch *token_watch_free(TokenWatch *w)
{
    if (!w)
        return NULL;
    store_query_free(w->query);
    strv_free(w->noted);
    free(w);
    return NULL;
}

void token_watch_note(TokenWatch *w, const char *token_hash)
{
    if (!strv_contains(w->noted, token_hash) && strv_add(&w->noted, token_hash) < 0)
        log_debug("a token of %s is looked at later: out of memory", w->who);
}

static void on_answer(StoreQuery *query _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    TokenWatch *w = userdata;

    w->query = NULL;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "whether the tokens of %s hold is not known", w->who);
    for (size_t i = 0; r >= 0 && i < store_rows_count(rows); i++)
        w->on_withdrawn(store_rows_get(rows, i, 1), w->userdata);
}

void token_watch_ask(TokenWatch *w)
{
    _cleanup_(freep) char *list = w->noted ? strv_join(w->noted, ",") : NULL;
    _cleanup_(error_done) Error err = {};

    w->noted = (strv_free(w->noted), NULL);
    if (!list || w->query)
        return;
    int r = store_query(w->store, sql_withdrawn("", list), on_answer, w, &w->query, &err);
    if (r < 0)
        log_debug("the tokens of %s are looked at later: %s", w->who, error_message(&err, r));
}

/* SPDX-License-Identifier: MIT */
/* Walks the chain of the audit log, a page at a time, and hashes what each entry holds by itself: the database is not asked whether
 * it is right. */
#include "gateway/verb-audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/audit-chain.h"
#include "gateway/store/audit-table.h"
#include "gateway/verb-database.h"
#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "lib/cli/report.h"
#include "lib/data/json.h"
#include "lib/tunnel/audit-mark.h"

#define PAGE 5000

typedef struct Walk {
    const Settings *settings;
    AuditChain chain;
    uint64_t told;    /* the number of --head; 0: none */
    const char *hash; /* of --head */
} Walk;

static int break_at(Walk *w, const StoreRows *rows, size_t i, Error *err, int r)
{
    const char *when = store_rows_get(rows, i, 4), *action = store_rows_get(rows, i, 5);

    if (r == -EBADMSG)
        error_prefix(err, r, "number %s of the audit log, entry %s%s%s%s%s", store_rows_get(rows, i, 0),
                     store_rows_get(rows, i, 1), when ? " of " : "", when ? when : "", action ? ", " : "",
                     action ? action : "");
    return gateway_fail(w->settings, err, r);
}

static int compare_head(const Walk *w, Error *err)
{
    if (w->told != w->chain.number || str_equal(w->hash, w->chain.hash))
        return 0;
    return error_set(err, EBADMSG, "audit.broken",
                     "this entry has another hash than the head that you gave: the log was written anew up to here");
}

/* EXIT_OK, with *ret_more false behind the last page. */
static int walk_page(Walk *w, bool *ret_more)
{
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement page = sql_audit_links(w->chain.number, PAGE);
    int code = gateway_run(w->settings, &page, &rows);

    for (size_t i = 0; code == EXIT_OK && i < store_rows_count(rows); i++) {
        _cleanup_(error_done) Error err = {};
        uint64_t number = 0;
        int r = store_rows_u64(rows, i, 0, INT64_MAX, &number);

        if (r >= 0)
            r = audit_chain_next(&w->chain, number, store_rows_get(rows, i, 2), store_rows_get(rows, i, 3), &err);
        if (r >= 0)
            r = compare_head(w, &err);
        if (r < 0)
            code = break_at(w, rows, i, &err, r);
    }
    *ret_more = code == EXIT_OK && store_rows_count(rows) == PAGE;
    return code;
}

/* *entry is where the walk is, and 0 behind the last page. */
static int look_for_unlinked(const Settings *s, uint64_t *entry)
{
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    _cleanup_(error_done) Error err = {};
    const Statement page = sql_audit_unlinked(*entry, PAGE);
    int code = gateway_run(s, &page, &rows);

    if (code == EXIT_OK && store_rows_get(rows, 0, 1))
        return gateway_fail(
            s, &err,
            error_set(&err, EBADMSG, "audit.broken",
                      "entry %s of the audit log is no link of its chain: it was written around the gateway",
                      store_rows_get(rows, 0, 1)));
    if (code != EXIT_OK || store_rows_u64(rows, 0, 0, INT64_MAX, entry) < 0)
        *entry = 0;
    return code;
}

/* What was written while the trigger was off. */
static int find_unlinked(const Settings *s)
{
    uint64_t entry = 0;
    int code;

    do
        code = look_for_unlinked(s, &entry);
    while (code == EXIT_OK && entry > 0);
    return code;
}

static int say_whole(const Walk *w)
{
    if (!w->settings->json)
        return report_text(w->chain.number > 0
                               ? str_format("the audit log is whole: %" PRIu64 " entries, head %" PRIu64 ":%s\n",
                                            w->chain.number, w->chain.number, w->chain.hash)
                               : str_format("the audit log is empty\n"),
                           EXIT_OK);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    _cleanup_(freep) char *head = str_format("%" PRIu64 ":%s", w->chain.number, w->chain.hash);
    if (!document || !head || json_add_u64(document, "entries", w->chain.number) < 0 ||
        (w->chain.number > 0 && json_add_string(document, "head", head) < 0))
        return gateway_fail(w->settings, NULL, -ENOMEM);
    return report_json(document, EXIT_OK);
}

static int read_head(Walk *w)
{
    const char *head = w->settings->head;

    if (!head)
        return EXIT_OK;
    _cleanup_(freep) char *digits = strndup(head, strcspn(head, ":"));
    if (!digits || !audit_head_is_good(head) || str_to_u64(digits, 1, INT64_MAX, &w->told) < 0) {
        fprintf(stderr,
                "secbox-gateway: --head takes NUMBER:HASH, as the gateway's journal and boxes' journals have it\n");
        return EXIT_USAGE;
    }
    w->hash = strchr(head, ':') + 1;
    return EXIT_OK;
}

int verb_audit_verify(int argc _unused_, char **argv _unused_, void *userdata)
{
    _cleanup_(secret_freep) char *database = NULL;
    Settings settings = *(const Settings *) userdata;
    Walk w = { .settings = &settings };
    bool more = true;
    int code = read_head(&w);

    if (code == EXIT_OK)
        code = gateway_find_database(userdata, &database);
    settings.database = database;

    while (code == EXIT_OK && more)
        code = walk_page(&w, &more);
    if (code == EXIT_OK)
        code = find_unlinked(w.settings);
    if (code == EXIT_OK && w.told > w.chain.number) {
        _cleanup_(error_done) Error err = {};

        code = gateway_fail(w.settings, &err,
                            error_set(&err, EBADMSG, "audit.broken",
                                      "the audit log ends at number %" PRIu64
                                      ", before the head that you gave: its end was "
                                      "deleted, or the database was put back to an older state",
                                      w.chain.number));
    }
    return code == EXIT_OK ? say_whole(&w) : code;
}

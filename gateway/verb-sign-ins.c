/* SPDX-License-Identifier: MIT */
/* Who is signed in, from the command line. */
#include "gateway/verb-sign-ins.h"

#include <errno.h>
#include <stdio.h>

#include "gateway/store/sign-ins-table.h"
#include "gateway/verb-database.h"
#include "lib/cli/cli.h"
#include "lib/cli/report.h"
#include "lib/cli/table.h"
#include "lib/data/json.h"

/* In the order of sql_sign_ins(). */
static const char *const members[] = { "name", "role", "since", "until", "issuer", "revokedAt" };

static cJSON *to_json(const StoreRows *rows)
{
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    cJSON *list = document ? cJSON_AddArrayToObject(document, "signIns") : NULL;

    for (size_t i = 0; list && i < store_rows_count(rows); i++) {
        cJSON *one = cJSON_CreateObject();
        if (json_append(list, one) < 0)
            return NULL;
        for (unsigned m = 0; m < ELEMENTSOF(members); m++)
            if (json_add_string(one, members[m], store_rows_get(rows, i, m)) < 0)
                return NULL;
    }
    return list ? TAKE_PTR(document) : NULL;
}

static char *to_text(const StoreRows *rows)
{
    static const char *const headers[] = { "NAME", "ROLE", "SINCE", "UNTIL", "PROVIDER", "REVOKED", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);

    for (size_t i = 0; table && i < store_rows_count(rows); i++) {
        const char *cells[ELEMENTSOF(members)];
        for (unsigned m = 0; m < ELEMENTSOF(members); m++)
            cells[m] = store_rows_get(rows, i, m);
        if (table_add(table, cells) < 0)
            return NULL;
    }
    return table ? table_print(table, 0) : NULL;
}

int verb_sign_ins_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    const Settings *s = userdata;
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement list = sql_sign_ins();
    int code = gateway_run(s, &list, &rows);

    if (code != EXIT_OK)
        return code;
    if (!s->json)
        return report_text(to_text(rows), EXIT_OK);
    _cleanup_(cJSON_Deletep) cJSON *document = to_json(rows);
    return document ? report_json(document, EXIT_OK) : gateway_fail(s, NULL, -ENOMEM);
}

int verb_sign_ins_revoke(int argc _unused_, char **argv, void *userdata)
{
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement revoke = sql_sign_ins_revoke(argv[0]);
    int code = gateway_run(userdata, &revoke, &rows);

    if (code == EXIT_OK && store_rows_count(rows) == 0) {
        fprintf(stderr, "secbox-gateway: %s is not signed in\n", argv[0]);
        return EXIT_FAILED;
    }
    return code;
}

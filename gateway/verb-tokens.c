/* SPDX-License-Identifier: MIT */
/* Operator tokens and the schema, from the command line: straight to the database, whether the gateway runs
 * or not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/verb-tokens.h"
#include "gateway/auth/secrets.h"
#include "lib/postgres/run.h"
#include "gateway/store/schema.h"
#include "gateway/store/tokens-table.h"
#include "gateway/settings.h"
#include "lib/cli/cli.h"
#include "lib/base/strv.h"

#define NAME_SIZE_MAX 64

static int fail(const Error *err, int r)
{
    fprintf(stderr, "secbox-gateway: %s [%s]\n", error_message(err, r), error_id(err));
    return r == -ENOTCONN ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/* Runs one statement; the rows are only valid when EXIT_OK is returned. */
static int run(const Settings *s, const Statement *st, StoreRows **ret)
{
    Error err = {};
    int r = store_run(s->database, &gateway_schema, st, ret, &err);
    int code = r < 0 ? fail(&err, r) : EXIT_OK;
    error_done(&err);
    return code;
}

int verb_migrate(int argc _unused_, char **argv _unused_, void *userdata)
{
    return run(userdata, NULL, NULL);
}

static bool name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_SIZE_MAX && strspn(name, allowed) == len;
}

int verb_tokens_add(int argc _unused_, char **argv, void *userdata)
{
    char hash[SECRET_HASH_SIZE];
    _cleanup_(secret_freep) char *secret = NULL;
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    if (!name_is_valid(argv[0])) {
        fprintf(stderr, "secbox-gateway: a token's name is 1 to %d letters, digits and . _ @ -\n", NAME_SIZE_MAX);
        return EXIT_USAGE;
    }
    int r = secret_make(OPERATOR_TOKEN_PREFIX, &secret, hash);
    if (r < 0)
        return fail(NULL, r);
    const Statement add = sql_token_add(argv[0], hash);
    int code = run(userdata, &add, &rows);
    if (code != EXIT_OK)
        return code;
    if (store_rows_count(rows) == 0) {
        fprintf(stderr, "secbox-gateway: there is a token named %s: revoke it first, or choose another name\n",
                argv[0]);
        return EXIT_FAILED;
    }
    printf("%s\n", secret);
    return EXIT_OK;
}

int verb_tokens_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement list = sql_tokens();
    int code = run(userdata, &list, &rows);
    for (size_t i = 0; code == EXIT_OK && i < store_rows_count(rows); i++)
        printf("%-24s  %s  %s\n", store_rows_get(rows, i, 0), store_rows_get(rows, i, 1), store_rows_get(rows, i, 2));
    return code;
}

int verb_tokens_revoke(int argc _unused_, char **argv, void *userdata)
{
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement revoke = sql_token_revoke(argv[0]);
    int code = run(userdata, &revoke, &rows);
    if (code == EXIT_OK && store_rows_count(rows) == 0) {
        fprintf(stderr, "secbox-gateway: there is no good token named %s\n", argv[0]);
        return EXIT_FAILED;
    }
    return code;
}

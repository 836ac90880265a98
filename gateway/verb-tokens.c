/* SPDX-License-Identifier: MIT */
/* Operator tokens and the schema, from the command line: straight to the database, whether the gateway runs
 * or not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/verb-tokens.h"
#include "gateway/auth/operator-name.h"
#include "gateway/auth/roles.h"
#include "gateway/auth/secrets.h"
#include "gateway/sessions/grants.h"
#include "gateway/store/tokens-table.h"
#include "gateway/settings.h"
#include "gateway/verb-database.h"
#include "lib/cli/cli.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/json.h"

#define LABEL_SIZE_MAX 256
#define TOKEN_DAYS_MAX 3660

int verb_migrate(int argc _unused_, char **argv _unused_, void *userdata)
{
    return gateway_run(userdata, NULL, NULL);
}

static int add_label(cJSON *labels, const char *text, size_t len)
{
    _cleanup_(freep) char *key = strndup(text, len);
    char *equals = key ? strchr(key, '=') : NULL;

    if (!key)
        return -ENOMEM;
    if (!equals || equals == key || !text_is_plain(key) || len > 2 * LABEL_SIZE_MAX)
        return -EINVAL;
    *equals = '\0';
    if (strlen(key) > LABEL_SIZE_MAX || strlen(equals + 1) > LABEL_SIZE_MAX ||
        cJSON_GetObjectItemCaseSensitive(labels, key))
        return -EINVAL;
    return json_add_string(labels, key, equals + 1);
}

/* Of --label, which may be there more than once and hold several, as of secbox-fleet: a JSON object as text. */
static int read_labels(char *const *options, char **ret)
{
    _cleanup_(cJSON_Deletep) cJSON *labels = cJSON_CreateObject();
    int r = labels ? 0 : -ENOMEM;

    for (; options && *options; options++)
        for (const char *p = *options; p && r >= 0; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
            r = add_label(labels, p, strcspn(p, ","));
    *ret = r >= 0 ? json_print(labels) : NULL;
    return r >= 0 && !*ret ? -ENOMEM : r;
}

/* Of --account: a JSON array as text, NULL when there is none of them. -EINVAL for what is no name. */
static int read_accounts(char *const *options, char **ret)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    int r = list ? 0 : -ENOMEM;

    for (char *const *o = options; o && *o && r >= 0; o++) {
        _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

        r = json_add_string(body, "account", *o);
        if (r >= 0)
            r = grant_account_read(body, &(const char *) { NULL }, NULL);
        if (r >= 0)
            r = json_append(list, cJSON_CreateString(*o));
    }
    *ret = r >= 0 && options ? json_print(list) : NULL;
    return r >= 0 && options && !*ret ? -ENOMEM : r;
}

/* Of --days; 0 when it is not given. -EINVAL */
static int read_days(const char *text, unsigned *ret)
{
    uint64_t days = 0;

    if (text && str_to_u64(text, 1, TOKEN_DAYS_MAX, &days) < 0)
        return -EINVAL;
    *ret = (unsigned) days;
    return 0;
}

int verb_tokens_add(int argc _unused_, char **argv, void *userdata)
{
    const Settings *s = userdata;
    OperatorRole role = ROLE_OPERATOR;
    unsigned days = 0;
    char hash[SECRET_HASH_SIZE];
    _cleanup_(secret_freep) char *secret = NULL;
    _cleanup_(freep) char *labels = NULL, *accounts = NULL;
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    if (!operator_name_is_valid(argv[0])) {
        fprintf(stderr, "secbox-gateway: a token's name is 1 to %d letters, digits and . _ @ -\n", OPERATOR_NAME_MAX);
        return EXIT_USAGE;
    }
    if (s->role && operator_role_parse(s->role, &role) < 0) {
        fprintf(stderr, "secbox-gateway: a token's role is one of " OPERATOR_ROLES ", not %s\n", s->role);
        return EXIT_USAGE;
    }
    if (read_days(s->days, &days) < 0) {
        fprintf(stderr, "secbox-gateway: --days takes a number from 1 to %d\n", TOKEN_DAYS_MAX);
        return EXIT_USAGE;
    }
    int r = read_labels(s->labels, &labels);
    if (r == -EINVAL) {
        fprintf(stderr, "secbox-gateway: --label takes KEY=VALUE, each key once and at most %d bytes of either\n",
                LABEL_SIZE_MAX);
        return EXIT_USAGE;
    }
    if (r >= 0 && (r = read_accounts(s->accounts, &accounts)) == -EINVAL) {
        fprintf(stderr, "secbox-gateway: --account takes the name of an account on boxes\n");
        return EXIT_USAGE;
    }
    if (r >= 0)
        r = secret_make(OPERATOR_TOKEN_PREFIX, &secret, hash);
    if (r < 0)
        return gateway_fail(userdata, NULL, r);
    const NewToken token = { .name = argv[0],
                             .hash = hash,
                             .role = operator_role_to_string(role),
                             .labels = labels,
                             .accounts = accounts,
                             .days = days };
    const Statement add = sql_token_add(&token);
    int code = gateway_run(userdata, &add, &rows);
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

/* Adds the accounts of a token, an array as text; NULL: all. */
static int add_accounts(cJSON *token, const char *text)
{
    return text ? json_add_item(token, "accounts", cJSON_Parse(text)) : 0;
}

/* Adds the labels of a token, an object as text; NULL: it has none. */
static int add_labels(cJSON *token, const char *text)
{
    cJSON *labels = NULL;

    if (!text)
        return 0;
    int r = json_parse_object(text, strlen(text), &labels, NULL);
    return r < 0 ? r : json_add_item(token, "labels", labels);
}

/* "site=north,floor=2", or nothing: a new string. */
static char *labels_text(const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *labels = NULL;

    if (text && json_parse_object(text, strlen(text), &labels, NULL) < 0)
        return NULL;
    return json_pairs(labels, ",");
}

/* {"tokens": [{"name", "role", "labels", "accounts", "createdAt", "revokedAt", "expiresAt", "lastUsedAt"}]} */
static cJSON *tokens_json(const StoreRows *rows)
{
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    cJSON *list = document ? cJSON_AddArrayToObject(document, "tokens") : NULL;

    for (size_t i = 0; list && i < store_rows_count(rows); i++) {
        cJSON *token = cJSON_CreateObject();

        if (json_append(list, token) < 0 || json_add_string(token, "name", store_rows_get(rows, i, 0)) < 0 ||
            json_add_string(token, "role", store_rows_get(rows, i, 3)) < 0 ||
            add_labels(token, store_rows_get(rows, i, 4)) < 0 || add_accounts(token, store_rows_get(rows, i, 5)) < 0 ||
            json_add_string(token, "createdAt", store_rows_get(rows, i, 1)) < 0 ||
            json_add_string(token, "revokedAt", store_rows_get(rows, i, 2)) < 0 ||
            json_add_string(token, "expiresAt", store_rows_get(rows, i, 6)) < 0 ||
            json_add_string(token, "lastUsedAt", store_rows_get(rows, i, 7)) < 0)
            return NULL;
    }
    return list ? TAKE_PTR(document) : NULL;
}

/* Whether a token is good: a new string. */
static char *state_text(const StoreRows *rows, size_t i)
{
    const char *revoked = store_rows_get(rows, i, 2), *until = store_rows_get(rows, i, 6);

    if (revoked)
        return str_format("revoked %s", revoked);
    if (store_rows_true(rows, i, 8))
        return str_format("expired %s", until);
    return until ? str_format("good until %s", until) : strdup("good");
}

int verb_tokens_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    const Settings *s = userdata;
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement list = sql_tokens();
    int code = gateway_run(s, &list, &rows);

    if (code == EXIT_OK && s->json) {
        _cleanup_(cJSON_Deletep) cJSON *document = tokens_json(rows);

        return document ? report_json(document, EXIT_OK) : gateway_fail(s, NULL, -ENOMEM);
    }
    for (size_t i = 0; code == EXIT_OK && i < store_rows_count(rows); i++) {
        const char *accounts = store_rows_get(rows, i, 5), *used = store_rows_get(rows, i, 7);
        _cleanup_(freep) char *labels = labels_text(store_rows_get(rows, i, 4)), *state = state_text(rows, i);

        if (!labels || !state)
            return gateway_fail(s, NULL, -ENOMEM);
        printf("%-24s  %-8s  %s  %s%s%s%s%s%s%s\n", store_rows_get(rows, i, 0), store_rows_get(rows, i, 3),
               store_rows_get(rows, i, 1), state, used ? "  used " : "", used ? used : "", *labels ? "  " : "", labels,
               accounts ? "  accounts " : "", accounts ? accounts : "");
    }
    return code;
}

int verb_tokens_revoke(int argc _unused_, char **argv, void *userdata)
{
    _cleanup_(store_rows_freep) StoreRows *rows = NULL;
    const Statement revoke = sql_token_revoke(argv[0]);
    int code = gateway_run(userdata, &revoke, &rows);
    if (code == EXIT_OK && store_rows_count(rows) == 0) {
        fprintf(stderr, "secbox-gateway: there is no good token named %s\n", argv[0]);
        return EXIT_FAILED;
    }
    return code;
}

/* SPDX-License-Identifier: MIT */
/* See operator-auth.h. */
#include "gateway/http/operator-auth.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/store/tokens-table.h"
#include "lib/base/strv.h"

static void on_owner(Request *c, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) == 0) {
        error_set(&err, EKEYREJECTED, "operator.token-unknown", "this operator token is unknown or was revoked");
        request_fail(c, -EKEYREJECTED, &err);
        error_done(&err);
        return;
    }
    c->actor = str_format(OPERATOR_ACTOR_PREFIX "%s", store_rows_get(rows, 0, 0));
    if (!c->actor)
        request_fail(c, -ENOMEM, NULL);
    else
        c->route->handler(c);
}

void operator_authorize(Request *c)
{
    Error err = {};
    char hash[SECRET_HASH_SIZE];
    int r = operator_token_hash(c->exchange, hash, &err);
    if (r >= 0) {
        c->token_hash = strdup(hash);
        r = c->token_hash ? 0 : -ENOMEM;
    }
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_token_owner(hash), on_owner);
    error_done(&err);
}

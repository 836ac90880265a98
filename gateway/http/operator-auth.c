/* SPDX-License-Identifier: MIT */
/* See operator-auth.h. */
#include "gateway/http/operator-auth.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/auth/roles.h"
#include "gateway/http/label-scope.h"
#include "gateway/store/tokens-table.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"

#define TOPIC "operator-tokens/%" PRIu64
/* For the database to say which tokens there are; it is the store that gives up on it, and sooner. */
#define PATIENCE (30 * USEC_PER_SEC)

/* The one place where a role decides. One that a newer gateway has written may nothing here. */
static int check_role(Request *c, const char *person, const char *role, Error *err)
{
    static const OperatorRole needed[] = {
        [ACCESS_ADMIN] = ROLE_ADMIN,     [ACCESS_OPERATOR] = ROLE_OPERATOR, [ACCESS_DEPLOY] = ROLE_DEPLOY,
        [ACCESS_SUPPORT] = ROLE_SUPPORT, [ACCESS_TICKET] = ROLE_OPERATOR,   [ACCESS_VIEWER] = ROLE_VIEWER,
    };
    OperatorRole has;
    bool bound;

    if (operator_role_read(role, &has, &bound) < 0 || (bound && !c->labels && !c->accounts))
        return error_set(err, EACCES, "auth.role", "the token of %s has the role %s, which this gateway does not know",
                         person, role ? role : "-");
    c->is_admin = has == ROLE_ADMIN;
    return operator_role_check(person, has, needed[c->route->access], err);
}

/* The one place where labels decide, but for what the handlers of SCOPE_LISTED leave out. */
static int check_labels(const Request *c, const char *person, bool within, Error *err)
{
    LabelScope scope = label_scope(c->route->method, c->route->path);

    if (!c->labels || within)
        return 0;
    return label_scope_refuse(c, person, scope, scope == SCOPE_DEVICE ? c->args[0] : NULL, err);
}

static Statement token_owner(const Request *c)
{
    LabelScope scope = label_scope(c->route->method, c->route->path);

    return sql_token_owner(c->token_hash, label_scope_to_string(scope), c->args[0]);
}

static void refuse_unknown(Request *c)
{
    Error err = {};
    error_set(
        &err, EKEYREJECTED, "operator.token-unknown",
        "this operator token is unknown or was revoked, or its sign-in is over: run `secbox-fleet sign-in`, or ask "
        "for another token");
    request_fail(c, -EKEYREJECTED, &err);
    error_done(&err);
}

static void on_owner(Request *c, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) == 0) {
        operator_tokens_forget(c->tokens, c->token_hash);
        refuse_unknown(c);
        return;
    }
    const char *person = store_rows_get(rows, 0, 0);
    int r = store_rows_copy(rows, 0, 2, &c->labels);
    if (r >= 0)
        r = store_rows_copy(rows, 0, 4, &c->accounts);
    if (r >= 0)
        r = check_role(c, person, store_rows_get(rows, 0, 1), &err);
    if (r >= 0)
        r = check_labels(c, person, store_rows_true(rows, 0, 3), &err);
    if (r < 0) {
        request_fail_status(c, r == -EACCES ? 403 : http_status_for(r), r, &err);
        error_done(&err);
        return;
    }
    c->actor = str_format(OPERATOR_ACTOR_PREFIX "%s", person);
    if (!c->actor) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    http_note_known(c->exchange);
    if (store_rows_true(rows, 0, 5))
        request_note_used(c);
    /* who only reads is not in the audit log either, but for the box's doctor; a ticket is used by somebody else's browser */
    if (c->route->access != ACCESS_VIEWER && !c->by_ticket)
        request_note_address(c);
    request_run(c);
}

/* All tokens were read again, which may have failed. */
static void on_tokens(Request *c, const void *news)
{
    const int *r = news;
    if (r && *r >= 0 && operator_tokens_has(c->tokens, c->token_hash)) {
        request_query(c, token_owner(c), on_owner);
    } else if (r && *r >= 0) {
        refuse_unknown(c);
    } else {
        Error err = {};
        error_set(&err, ENOTCONN, "store.unavailable",
                  "the database did not say whether this operator token is good, try again in some seconds");
        request_fail(c, -ENOTCONN, &err);
        error_done(&err);
    }
}

void operator_tokens_tell(uint64_t round, int r, void *requests)
{
    requests_tell(requests, &r, TOPIC, round);
}

void operator_authorize(Request *c)
{
    Error err = {};
    char hash[SECRET_HASH_SIZE];
    uint64_t round = 0;
    int r = request_token_hash(c, hash, &err);
    if (r >= 0) {
        c->token_hash = strdup(hash);
        r = c->token_hash ? 0 : -ENOMEM;
    }
    bool known = r >= 0 && operator_tokens_has(c->tokens, hash);
    if (r >= 0 && !known)
        r = operator_tokens_look(c->tokens, &round, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else if (known)
        request_query(c, token_owner(c), on_owner);
    else
        request_wait(c, PATIENCE, on_tokens, TOPIC, round);
    error_done(&err);
}

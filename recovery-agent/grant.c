/* SPDX-License-Identifier: MIT */
#include "recovery-agent/grant.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust.h"

#define ACCOUNT_OF_BEFORE "root"

void grant_signed_done(GrantSigned *g)
{
    free(g->who);
    free(g->account);
    *g = (GrantSigned) {};
}

/* Of either form: what was signed for one purpose is no signature for the other. */
static int open_statement(const cJSON *envelope, const OrderSigners *signers, OrderKind *ret_kind, OrderStatement *ret,
                          char **ret_who, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;

    *ret_kind = ORDER_KIND_ACCOUNT_GRANT;
    int r = order_envelope_open(envelope, order_domain(*ret_kind), signers, &text, &len, ret_who, err);
    if (r == -EACCES) {
        error_done(err);
        *ret_kind = ORDER_KIND_GRANT;
        r = order_envelope_open(envelope, order_domain(*ret_kind), signers, &text, &len, ret_who, err);
    }
    return r < 0 ? r : order_statement_read(text, len, ret, err);
}

static int check_account(const cJSON *message, const OrderStatement *s, Error *err)
{
    const char *account = json_string(message, "account");

    if (s->account || !account || str_equal(account, ACCOUNT_OF_BEFORE))
        return 0;
    return error_set(
        err, EACCES, "order.no-account",
        "the grant is for the account %.40s, and was signed without it, which counts for " ACCOUNT_OF_BEFORE
        " alone: ask for another one while the box is connected, with a secbox-fleet of this version",
        account);
}

static int check(const cJSON *message, const OrderSigners *signers, const GrantView *view, uint64_t *seconds,
                 GrantSigned *ret, Error *err)
{
    const cJSON *envelope = cJSON_GetObjectItemCaseSensitive(message, "order");
    /* The clock can be anything. A root document that has expired is no reason to keep people out. */
    const OrderView at = { .device = view->device, .last_issued = (usec_t) view->time_floor * USEC_PER_SEC };
    _cleanup_(order_statement_done) OrderStatement s = {};
    _cleanup_(freep) char *who = NULL;
    OrderKind kind;

    if (!envelope)
        return error_set(err, EACCES, "order.unsigned",
                         "this box takes only break-glass grants that are signed by %u of its %zu signers: ask for one "
                         "with --key",
                         signers->threshold, signers->n);
    int r = open_statement(envelope, signers, &kind, &s, &who, err);
    if (r == 0)
        r = order_check(&s, kind, message, &at, err);
    if (r == 0)
        r = check_account(message, &s, err);
    if (r < 0)
        return r;
    usec_t from = at.last_issued > s.issued ? at.last_issued : s.issued;
    uint64_t left = (s.expires - from) / USEC_PER_SEC;
    if (*seconds > left)
        *seconds = left;
    *ret = (GrantSigned) { .who = TAKE_PTR(who), .account = TAKE_PTR(s.account) };
    return 0;
}

int grant_check_signed(const cJSON *message, const GrantView *view, uint64_t *seconds, GrantSigned *ret, Error *err)
{
    _cleanup_(trust_done) Trust trust = {};
    int r = trust_load(&trust, err);

    *ret = (GrantSigned) {};
    return r < 0 || trust.signers.n == 0 ? r : check(message, &trust.signers, view, seconds, ret, err);
}

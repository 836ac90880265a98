/* SPDX-License-Identifier: MIT */
#include "recovery-agent/grant.h"

#include <errno.h>

#include "lib/data/order-envelope.h"
#include "lib/data/trust.h"

static int check(const cJSON *message, const OrderSigners *signers, const GrantView *view, uint64_t *seconds,
                 char **ret_who, Error *err)
{
    const cJSON *envelope = cJSON_GetObjectItemCaseSensitive(message, "order");
    /* The clock can be anything. A root document that has expired is no reason to keep people out. */
    const OrderView at = { .device = view->device, .last_issued = (usec_t) view->time_floor * USEC_PER_SEC };
    _cleanup_(order_statement_done) OrderStatement s = {};
    _cleanup_(freep) char *text = NULL, *who = NULL;
    size_t len = 0;

    if (!envelope)
        return error_set(err, EACCES, "order.unsigned",
                         "this box takes only break-glass grants that are signed by %u of its %zu signers: ask for one "
                         "with --key",
                         signers->threshold, signers->n);
    int r = order_envelope_open(envelope, order_domain(ORDER_KIND_GRANT), signers, &text, &len, &who, err);
    if (r == 0)
        r = order_statement_read(text, len, &s, err);
    if (r == 0)
        r = order_check(&s, ORDER_KIND_GRANT, message, &at, err);
    if (r < 0)
        return r;
    usec_t from = at.last_issued > s.issued ? at.last_issued : s.issued;
    uint64_t left = (s.expires - from) / USEC_PER_SEC;
    if (*seconds > left)
        *seconds = left;
    *ret_who = TAKE_PTR(who);
    return 0;
}

int grant_check_signed(const cJSON *message, const GrantView *view, uint64_t *seconds, char **ret_who, Error *err)
{
    _cleanup_(trust_done) Trust trust = {};
    int r = trust_load(&trust, err);

    *ret_who = NULL;
    return r < 0 || trust.signers.n == 0 ? r : check(message, &trust.signers, view, seconds, ret_who, err);
}

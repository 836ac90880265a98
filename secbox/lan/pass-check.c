/* SPDX-License-Identifier: MIT */
#include "secbox/lan/pass-check.h"

#include "lib/base/strv.h"

const char *pass_fault_name(PassFault f)
{
    static const char *const names[] = {
        "",
        "pass-no-key",
        "pass-invalid",
        "pass-other-community",
        "pass-not-yet",
        "pass-expired",
        "pass-revoked",
        "pass-used",
    };

    return names[f];
}

PassFault pass_check(const Key *key, const char *community, int64_t now, const char *text, Pass *ret)
{
    uint64_t at = now < 0 ? 0 : (uint64_t) now;

    *ret = (Pass) {};
    if (!key)
        return PASS_NO_KEY;
    if (pass_open(key, text, ret, NULL) < 0)
        return PASS_INVALID;
    if (!str_equal(ret->community, community))
        return PASS_OTHER_COMMUNITY;
    if (at < ret->from)
        return PASS_NOT_YET;
    return at >= ret->until ? PASS_EXPIRED : PASS_GOOD;
}

bool pass_names_guest(PassFault f)
{
    return f == PASS_GOOD || f > PASS_OTHER_COMMUNITY;
}

PassFault pass_check_guest(PassFault f, bool known, bool used)
{
    if (f != PASS_GOOD)
        return f;
    return !known ? PASS_REVOKED : used ? PASS_USED : f;
}

Verdict pass_verdict(PassFault f, Verdict guest)
{
    return f != PASS_GOOD && guest == VERDICT_AUTHORISED ? VERDICT_UNKNOWN : guest;
}

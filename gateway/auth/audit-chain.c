/* SPDX-License-Identifier: MIT */
#include "gateway/auth/audit-chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"

int audit_chain_next(AuditChain *c, uint64_t number, const char *hash, const char *canonical, Error *err)
{
    char made[SHA256_HEX_SIZE];

    if (number != c->number + 1)
        return error_set(err, EBADMSG, "audit.broken", "the chain has no number %" PRIu64 ": entries were deleted",
                         c->number + 1);
    if (!canonical)
        return error_set(err, EBADMSG, "audit.broken", "the entry was deleted");
    _cleanup_(freep) char *text = str_format("%s\n%s", c->hash, canonical);
    int r = text ? sha256_hex(text, strlen(text), made) : -ENOMEM;
    if (r < 0)
        return error_from_errno(err, r, "checking the audit log");
    if (!str_equal(made, hash))
        return error_set(err, EBADMSG, "audit.broken",
                         "the entry, or one before it, is not what it was when it was written");
    c->number = number;
    (void) snprintf(c->hash, sizeof(c->hash), "%s", made);
    return 0;
}

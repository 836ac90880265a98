/* SPDX-License-Identifier: MIT */
/* Whether the links of the audit log's chain (gateway/store/audit-table.h) hold. Pure. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/digest.h"

/* Where the walk is: number and hash of the last link that held; {} before the first. */
typedef struct AuditChain {
    uint64_t number;
    char hash[SHA256_HEX_SIZE];
} AuditChain;

/* The next link as the database has it; canonical NULL: its entry is not there. On -EBADMSG "audit.broken", which says how but not
 * where, the walk stays where it is. */
int audit_chain_next(AuditChain *c, uint64_t number, const char *hash, const char *canonical, Error *err) _must_check_;

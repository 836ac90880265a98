/* SPDX-License-Identifier: MIT */
/* How far the audit log is: told to the log of this program from time to time and to each box with its welcome. What boxes tell
 * back is compared with the log, so that one that was rewritten, shortened or put back to an older state is noticed. */
#pragma once

#include "lib/postgres/store.h"

typedef struct AuditHead AuditHead;

/* NULL when out of memory. `store` is borrowed. */
AuditHead *audit_head_new(Store *store);
AuditHead *audit_head_free(AuditHead *h);
DEFINE_CLEANUP(AuditHead, audit_head_free)

/* To be called often: asks the database where the log is, when that is due. */
void audit_head_sweep(AuditHead *h);
/* "NUMBER:HASH", NULL while it is not known; borrowed. h may be NULL. */
const char *audit_head_get(const AuditHead *h);
/* A box says that the log was there; NULL and what is no such text are nothing. Where the log has something else at that number it
 * is the alarm audit.rewritten, once in an hour for all boxes. h may be NULL. */
void audit_head_compare(AuditHead *h, const char *device, const char *told);

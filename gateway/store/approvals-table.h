/* SPDX-License-Identifier: MIT */
/* What waits for a second person: a permit for one request, once, within an hour. Changes are written to the audit log with
 * them. */
#pragma once

#include "lib/postgres/statement.h"

extern const char schema_approvals[];

typedef struct ApprovalAsk {
    const char *id; /* of a new one */
    const char *person, *actor;
    const char *action, *device; /* device may be NULL */
    const char *sha256;          /* of the request as a whole */
    const char *detail;          /* what the other person judges by, a JSON object */
    unsigned seconds;            /* how long it lives */
    unsigned waiting_max;        /* of one person */
} ApprovalAsk;

/* Uses the permit for this request of this person, or makes one that waits. 0 whether it may go on; 1 {"approval"} of the one
 * that it is about, no longer waiting where it was refused; NULL: this person has too many that wait. */
Statement sql_approval_take(const ApprovalAsk *a);
/* 0 {"approvals": […]}, newest first. person NULL: of everybody. */
Statement sql_approvals(const char *person);
/* 0 {"approval"}; no row: there is none, or none of this person's. */
Statement sql_approval(const char *id, const char *person);
/* "approved" or "refused" by another person than who asked, whatever the case of the names: a provider's may come in any.
 * 0 {"approval"} as it is now, 1 whether this has decided it, 2 who asked; no row: there is none. */
Statement sql_approval_decide(const char *id, const char *person, const char *actor, const char *state);
/* Those whose time is over, into the audit log; those of 90 days ago are forgotten. */
Statement sql_approvals_expire(void);

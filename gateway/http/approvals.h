/* SPDX-License-Identifier: MIT */
/* A second person: where the fleet wants it, what gives somebody a way around everything else, or reaches every box, waits until
 * another person has approved it. Whoever asked then asks the same once more, within an hour, and it is done, once. */
#pragma once

#include "gateway/http/router.h"

/* How long something waits, and how long an approval can be used: from when it was asked for. */
#define APPROVAL_SECONDS 3600

typedef struct Approvals {
    Store *store;
    bool wanted; /* --two-person; else nothing waits */
    usec_t swept;
} Approvals;

/* GET /v1/approvals and what is below it; the module is an Approvals. */
extern const Route approval_routes[];

/* What an approval for this request would be called; NULL: it needs none. `body` is its text. */
const char *approval_action(const Route *route, const char *body, size_t len);

/* A RequestGate; `approvals` is an Approvals. */
bool approvals_hold(Request *c, void *approvals);
/* To be called often: those whose time is over are written down as that. */
void approvals_sweep(Approvals *a);

/* SPDX-License-Identifier: MIT */
/* What boxes report of their gates: each event once. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

/* What everybody is told of an event e: the members of a JSON object. */
#define EVENT_MEMBERS                                                                                                  \
    "'seq', e.seq::text, 'clientId', e.client_id, 'device', e.device, 'kind', e.kind, 'at', secbox_time(e.at),"        \
    " 'receivedAt', secbox_time(e.received_at), 'data', e.data"

/* `events`: a JSON array, in its order. One row for each: 0 its clientId, 1 NULL when it is stored, now or before, else the id of
 * the error; 2 its community. */
Statement sql_events_store(const char *device, const char *events);

/* Removes up to `step` events that came more than so many days ago, but for those that a webhook has not sent yet; a row for
 * each. */
Statement sql_events_remove_old(unsigned days, unsigned step);

/* 0 {"events", "next"} behind this number, of one kind (NULL: of all); 1 whether there is such a community, 2 how many
 * events these are. */
Statement sql_events(const char *community, const char *kind, uint64_t after, uint64_t limit);

/* SPDX-License-Identifier: MIT */
/* What the guards' interface knows of the community: bans, guards and the clock in memory, the rest by statements on a
 * connection of its own, so that nobody at the gate waits for a snapshot. What was read last stays when the database goes away. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/key.h"
#include "lib/postgres/store.h"
#include "secbox/lan/ban-index.h"
#include "secbox/lan/verdict.h"

typedef struct GateData GateData;

typedef struct Guard {
    char *id, *name, *pin_hash;
} Guard;

/* database_url NULL: nothing is ever known. on_loaded is called after each reading, from the loop. store.bad-config. */
int gate_data_new(sd_event *event, const char *database_url, void (*on_loaded)(void *userdata), void *userdata,
                  GateData **ret, Error *err) _must_check_;
GateData *gate_data_free(GateData *d);
DEFINE_CLEANUP(GateData, gate_data_free)

/* Reads again, soon: many changes in a second are one reading. */
void gate_data_changed(GateData *d);
/* As store_query(). "lan.no-database" (-ENOTCONN) when there is none, or it is away. */
int gate_data_query(GateData *d, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret,
                    Error *err) _must_check_;
bool gate_data_has_database(const GateData *d);

/* NULL: nothing has been read yet. */
const BanIndex *gate_data_bans(const GateData *d);
size_t gate_data_guards_count(const GateData *d);
const Guard *gate_data_guard_at(const GateData *d, size_t i);
const Guard *gate_data_guard(const GateData *d, const char *id);

/* What is known of the community; its strings are "" before it was read. */
typedef struct GateCommunity {
    char *id, *name, *time_zone; /* a zone that PostgreSQL knows */
    char *version;               /* "EPOCH-VERSION-CHANGES": what tags of answers are made of */
    char *pass_jwk;              /* the key that passes are signed with, as JSON; NULL: none is known */
    Key *pass_key;               /* the same */
    usec_t applied_at;           /* since 1970: when the gateway's last word was written; 0: never */
    char applied_text[TIMESTAMP_SIZE];
} GateCommunity;

const GateCommunity *gate_data_community(const GateData *d);
/* The moment in the community's own time. The offset of its zone is asked for at each reading and hourly. */
LocalMoment gate_data_moment(const GateData *d, usec_t now);

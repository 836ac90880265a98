/* SPDX-License-Identifier: MIT */
/* Enrolment tokens, by which many boxes come, and the boxes that wait to be let in. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

extern const char schema_enrolments[];

typedef struct NewEnrolment {
    const char *id, *hash;
    const char *labels; /* a JSON object; of the boxes that come with it */
    const char *note;   /* may be NULL */
    const char *actor;
    unsigned boxes, hours;
    bool approve; /* nobody is asked */
} NewEnrolment;

/* 0 the token's entry as JSON. */
Statement sql_enrolment_add(const NewEnrolment *e);
/* 0 the entry as JSON, newest first. */
Statement sql_enrolments(void);
/* The boxes that wait with it are refused, too. 0 the entry as JSON; no row: no such token, or it is revoked already. */
Statement sql_enrolment_revoke(const char *id, const char *actor);

/* A box that asks to be let in. */
typedef struct EnrolmentAsk {
    const char *hash; /* of the enrolment token */
    const char *device, *bootstrap_hash, *thumbprint;
    const char *machine; /* a JSON object: what it says of itself */
    const char *peer;
    unsigned bootstrap_hours;
} EnrolmentAsk;

/* How a token stands, and how this key stands with it. */
typedef struct EnrolmentState {
    const char *state;  /* "open", "revoked", "expired", "used-up" */
    const char *asked;  /* "pending", "approved", "denied"; NULL: this key is new */
    const char *device; /* under which it asked */
    bool name_taken;    /* by a box that is registered, or by another one that waits */
} EnrolmentState;

/* Also brings the entry of a key that waits up to date. No row: no such token. */
Statement sql_enrolment_look(const EnrolmentAsk *ask);
/* Borrows from rows. */
EnrolmentState enrolment_state(const StoreRows *rows);
/* Takes one of the token's places for a new key, which does not wait by another token any more, and has no place of that. 0
 * "pending" or "approved"; no row: the token is not good any more. */
Statement sql_enrolment_take(const EnrolmentAsk *ask);

/* 0 a waiting box as JSON, the one that waits longest first. */
Statement sql_pending(void);
/* It becomes a device: 0 id, 1 the device as JSON. No row: no box waits under this name, or
 * another one is registered under it. */
Statement sql_pending_approve(const char *device, unsigned bootstrap_hours, const char *actor);
/* 0 device; the same. */
Statement sql_pending_deny(const char *device, const char *actor);

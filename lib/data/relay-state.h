/* SPDX-License-Identifier: MIT */
/* How relay-client is, in a small file in its run folder: what its health check, mgmt-agent and secboxctl read. */
#pragma once

#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

#define RELAY_STATE_NAME "state.json"
/* A state that has not been written again for so long is that of one that hangs or has ended. */
#define RELAY_STATE_STALE (45 * USEC_PER_SEC)

typedef enum RelayCondition {
    RELAY_INVALID,    /* the configuration cannot be taken */
    RELAY_IDLE,       /* the provider is none */
    RELAY_CONNECTING, /* tries, and goes on trying */
    RELAY_CONNECTED,
    RELAY_REFUSED, /* the provider knows the box's name or token no (longer) */
} RelayCondition;

typedef struct RelayState {
    char *provider;
    int condition;       /* RelayCondition */
    usec_t started;      /* the program; wall clock */
    usec_t since;        /* the condition; likewise */
    uint64_t beat;       /* CLOCK_BOOTTIME when this was written */
    char *public_url;    /* where viewers reach the box, NULL when nobody has said */
    char *error_id;      /* why it is not connected, NULL when there is nothing to say */
    char *error_message; /* a sentence */
    unsigned open;       /* visitors now */
    uint64_t visitors;   /* since the start, as all that follows */
    uint64_t bytes_in;   /* from visitors */
    uint64_t bytes_out;  /* to them */
    uint64_t reconnects;
    bool counts_bytes; /* else the provider's own program has the bytes, and does not tell */
} RelayState;

void relay_state_done(RelayState *s);
const char *relay_condition_name(int condition);

/* The file's text: a new string, NULL when out of memory. */
char *relay_state_print(const RelayState *s);
/* The writer may be a container: numbers and short printable text alone come back, whatever the file holds. -ENOENT: there is
 * none; relay.bad-state: it is no such file. */
int relay_state_read(const char *path, RelayState *ret, Error *err) _must_check_;
bool relay_state_is_stale(const RelayState *s, usec_t boottime);

/* What reports hold of it: "state" is "silent" when it is stale. A new object, NULL when out of memory. */
cJSON *relay_state_describe(const RelayState *s, usec_t boottime);
/* In the text format of OpenMetrics 1.0: a new string, NULL when out of memory. */
char *relay_state_metrics(const RelayState *s);

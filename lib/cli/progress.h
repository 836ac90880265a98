/* SPDX-License-Identifier: MIT */
/* Shows a push as it happens: one line per phase with its seconds, then the result; for people, or as NDJSON for
 * programs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef struct ProgressView {
    FILE *out;
    bool json;      /* NDJSON: each event and the result as it is, one per line */
    bool live;      /* a terminal: the running phase is shown and overwritten */
    char phase[48]; /* running, "" = none */
    usec_t phase_started;
    uint64_t last_seq; /* events up to here are not shown again */
    bool any_seq;
} ProgressView;

/* live is taken from isatty(fileno(out)). */
void progress_start(ProgressView *v, FILE *out, bool json);

/* One compose.progress; an event whose seq was shown already is skipped. Returns 1 when shown, 0 when skipped. */
int progress_event(ProgressView *v, const cJSON *event);

/* Ends a line that is being overwritten; call before printing anything else. */
void progress_stop(ProgressView *v);

/* The compose.result: ends the running phase, says the outcome, what to know, and the failing container's log (`log`, an
 * array of lines, of the error or of a service). Returns EXIT_OK for status 200, else EXIT_FAILED. */
int progress_result(ProgressView *v, const cJSON *result);

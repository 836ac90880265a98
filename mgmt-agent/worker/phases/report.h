/* SPDX-License-Identifier: MIT */
/* What a job prints, line by line, for the agent to pass on. */
#pragma once

#include "lib/data/json.h"

/* Of what: a message has the deployment's id and version, and the phase that it is in. */
typedef struct Report {
    char *id, *version;
    const char *phase;
    unsigned seq; /* of the last progress */
} Report;

/* Tells what happens, as compose.progress on standard output. state: "started", "done", "failed", "info". */
void report_progress(Report *r, const char *state, const char *service, const char *fmt, ...) _printf_(4, 5);
/* Starts a phase: names it in what follows and reports it. */
void report_phase(Report *r, const char *phase);
/* json_from_error() without the secrets that the message may quote: a value of the file may have come from secbox.env. */
cJSON *safe_error_json(const Error *err, int r);
/* Prints one message line. */
void report_emit(const cJSON *message);

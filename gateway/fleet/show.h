/* SPDX-License-Identifier: MIT */
/* What most verbs do: ask the gateway one thing, and show the answer. */
#pragma once

#include <stdio.h>

#include "gateway/fleet/fleet.h"
#include "lib/cli/table.h"

/* An array as a table. */
typedef struct FleetList {
    const char *const *headers;
    int (*row)(Table *table, const cJSON *entry); /* adds one; or NULL, and … */
    const char *const *names;                     /* … the members of an entry that are its cells */
    const char *none;                             /* the line instead of an empty table */
} FleetList;

/* How people see an answer: in one of three ways. */
typedef struct FleetView {
    const char *member; /* the part of the answer that is shown; NULL: all of it */
    usec_t timeout;     /* 0: CALL_TIMEOUT */
    const FleetList *list;
    void (*lines)(FILE *out, const cJSON *part); /* by fleet_line() */
    char *(*text)(const cJSON *part);            /* a new string; NULL when out of memory */
} FleetView;

/* One request to `path`, which is taken (NULL: out of memory), and its answer: whole with --json, else as the view says.
 * Returns the exit code. */
int fleet_show(Fleet *fleet, const char *method, char *path, const cJSON *request, const FleetView *view);
/* The same with an answer that is there already. */
int fleet_show_body(const Fleet *fleet, const cJSON *body, const FleetView *view);

/* Prints "label   value"; takes value. */
void fleet_line(FILE *out, const char *label, char *value);

/* SPDX-License-Identifier: MIT */
/* What of a box's values is worth a history and a metric. Pure. */
#pragma once

#include "lib/data/json.h"

#define SUMMARY_FAULTS_MAX 16
#define SUMMARY_FIELDS 16

/* A new object with the numbers of the table in health-summary.c that the values have, and "faults" (the names of all, true
 * each, SUMMARY_FAULTS_MAX at most). NULL when out of memory. */
cJSON *health_summary(const cJSON *values);

typedef struct SummaryField {
    const char *name;   /* in the summary */
    const char *metric; /* in /metrics, without the prefix secbox_box_ */
    const char *help;
    double factor; /* from the summary's unit to the metric's */
} SummaryField;

extern const SummaryField summary_fields[SUMMARY_FIELDS];

/* The number of each field; not a number where the values do not have it. */
void health_measure(const cJSON *values, double ret[static SUMMARY_FIELDS]);

/* SPDX-License-Identifier: MIT */
/* The fleet's values for a monitoring system: GET /metrics in the text format of Prometheus, or as OpenMetrics 1.0 to who asks
 * for that. How many series there are is bounded: so many boxes, and for each always the same ones. */
#pragma once

#include "lib/base/buf.h"
#include "lib/data/json.h"

/* Of more boxes, those whose ids come first. */
#define METRICS_BOXES_MAX 2000

typedef struct MetricsPart {
    bool told;             /* what follows means something */
    double told_at;        /* seconds since 1970 */
    double clock_offset;   /* not a number: not known */
    const double *numbers; /* SUMMARY_FIELDS of them */
    unsigned faults;
} MetricsPart;

typedef struct MetricsBox {
    const char *device;
    bool connected; /* its management tunnel */
    MetricsPart box, secbox;
} MetricsBox;

/* Sorts the boxes. -ENOMEM, and -EMSGSIZE when `ret` has no room. */
int metrics_print(MetricsBox *boxes, size_t n, Buf *ret) _must_check_;

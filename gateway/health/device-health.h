/* SPDX-License-Identifier: MIT */
/* What boxes say of themselves in health.report: kept in memory as long as a tunnel lives, and in the database every five
 * minutes and when other faults are among it, the latter at most every ten seconds. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/health/health-summary.h"
#include "lib/base/clock.h"

typedef struct DeviceHealth DeviceHealth;

typedef struct HealthPart {
    char *device;
    const char *part;               /* "box" by mgmt-agent, "secbox" by the container */
    char *values;                   /* JSON text, a tenth of the tree's size; NULL: nothing was told yet */
    double numbers[SUMMARY_FIELDS]; /* health_measure() of them */
    unsigned faults;
    char *relay_url;     /* where viewers reach the box, as it says, while its relay is connected; NULL: nowhere */
    char *at;            /* the box's time; NULL: none that is one */
    usec_t received_at;  /* wall clock */
    double clock_offset; /* seconds by which the box's clock is ahead; only with `at` */
    uint64_t seq, connection;
    bool is_cut; /* not all faults are in `values`, which are no base then */
    uint64_t saved_slot;
    bool has_news;      /* other faults than those that were saved last */
    usec_t news_due_at; /* CLOCK_BOOTTIME: not saved for their sake before */
} HealthPart;

/* NULL when out of memory. */
DeviceHealth *device_health_new(Store *store, DeviceConns *conns);
DeviceHealth *device_health_free(DeviceHealth *h);

/* In which five minutes this moment is for that device: it is saved once in each, and not all devices at the same time. */
uint64_t health_slot(const char *device, usec_t at);

/* What the tunnel of today has told; NULL when nothing. Borrowed. */
const HealthPart *device_health_find(const DeviceHealth *h, const char *device, const char *part);

/* SPDX-License-Identifier: MIT */
/* How this secbox is, for the cloud (health.report) and for secboxctl: its database, the age of the community's data, the queue,
 * the guards' pages, the tunnel. What the machine is like, mgmt-agent tells. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "secbox/cameras/cameras.h"
#include "secbox/queue/queue.h"
#include "secbox/replica/replica.h"

typedef struct DataHealth DataHealth;

typedef struct DataHealthParts {
    Replica *replica; /* borrowed; NULL: there is no database, as of queue */
    Queue *queue;
    bool (*lan_serves)(void *userdata);            /* NULL: guards' pages are not wanted */
    uint64_t (*certificate_until)(void *userdata); /* seconds since 1970; NULL, 0: the cloud has sent none */
    const Cameras *cameras;                        /* NULL: there is no Frigate */
    cJSON *(*faces)(void *userdata);               /* faces_describe(); NULL: there is no Frigate */
    const char *entry_camera;                      /* borrowed; NULL: none */
    uint64_t old_seconds;                          /* from what age on the community's data are a fault */
    /* To the gateway. */
    int (*send)(const cJSON *message, void *userdata);
    void *userdata;
} DataHealthParts;

int data_health_new(sd_event *event, const DataHealthParts *parts, DataHealth **ret, Error *err) _must_check_;
DataHealth *data_health_free(DataHealth *h);
DEFINE_CLEANUP(DataHealth, data_health_free)

/* All of these take NULL for one that is not there yet. */
void data_health_look(DataHealth *h);
void data_health_tunnel_up(DataHealth *h);
void data_health_tunnel_down(DataHealth *h);
/* True: the message was health.ack. */
bool data_health_take(DataHealth *h, const cJSON *message);
/* The values of the last look, borrowed; NULL before the first. */
const cJSON *data_health_values(const DataHealth *h);

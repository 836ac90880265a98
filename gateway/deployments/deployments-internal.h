/* SPDX-License-Identifier: MIT */
/* One open deployment, shared by the files that push it, listen to its box and write it down. */
#pragma once

#include "gateway/deployments/deployments.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

struct Deployment {
    Gateway *gateway;
    char *device;
    char id[REQUEST_ID_SIZE], nonce[REQUEST_ID_SIZE];
    uint64_t version; /* 0 until stored */
    unsigned confirm_deadline;
    bool update;                    /* a new image, not a compose file */
    char *compose;                  /* until it was sent, as the next three */
    char *image, *digest, *service; /* of an update; service may be NULL */
    char *rollout;                  /* that it is part of, or NULL */
    char starter[REQUEST_ID_SIZE]; /* the call that asked for it, which may be gone */
    bool wait;
    bool progressed;              /* the box has spoken of it */
    bool unsent;                  /* the box is there and has not got it: to be sent when the store is back */
    bool lost;                    /* given up: to be written as unknown */
    uint64_t barred_connection;   /* no confirmation on this one: it was open before the change */
    usec_t created_at, last_word; /* CLOCK_BOOTTIME */
    cJSON *events;                /* array: not yet in the database */
    int n_saving;                 /* of them, in the statement that runs */
    unsigned n_events;
    char phase[64];
    cJSON *result; /* final, not yet in the database */
    StoreQuery *query;
};

Deployment *deployment_new(Gateway *g, const char *device);
void deployment_log(const Deployment *d, LogLevel level, const char *what);
/* Writes the next thing that is not in the database yet, if nothing is being written. */
void deployment_save(Deployment *d);
/* Sends it to the box, or ends the deployment when the box has just gone. */
void deployment_send(Deployment *d);
/* Reads from the database what is to be sent, then sends it: the box has never heard of it. */
void deployment_send_again(Deployment *d);
/* Ends it without the box's word. */
void deployment_end_here(Deployment *d, int status, int code, const Error *err);
/* Writes a result of a deployment that is not open in memory, and acknowledges it. */
void deployment_save_late(Gateway *g, const char *device, const cJSON *result);
/* Wakes who waits for news of it. */
void deployment_tell(Gateway *g, const char *device, uint64_t version, bool final);

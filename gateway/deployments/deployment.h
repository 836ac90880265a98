/* SPDX-License-Identifier: MIT */
/* One open deployment. Private to this folder. */
#pragma once

#include "gateway/deployments/bundle-keys.h"
#include "gateway/deployments/deployment-events.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"

struct Deployments {
    Store *store;
    Requests *requests;
    DeviceConns *conns;
    BundleKeys *keys;
    Map *open;    /* device → its open Deployment, owned */
    Map *waiting; /* devices that a push waits for; values are not used */
    bool has_templates;
    const DeploymentEvents *events;
    void *userdata;
};

struct Deployment {
    Deployments *owner;
    char *device;
    char id[RANDOM_ID_SIZE], nonce[RANDOM_ID_SIZE];
    uint64_t version; /* 0 until stored */
    unsigned confirm_deadline;
    DeploymentKind kind;
    char *compose;                  /* until it was sent, as the next four */
    char *image, *digest, *service; /* of an update; service may be NULL. The digest also of a compose file's files */
    char *target;                   /* of a rollback, where it may be NULL; of an agent update, of a release */
    char *project;                  /* that it is about, likewise; NULL: the box's own */
    char *envelope;                 /* what an operator has signed, as JSON, until it was sent; or NULL */
    char *rollout;                  /* that it is part of, or NULL */
    char starter[RANDOM_ID_SIZE];   /* the request that asked for it, which may be gone */
    deployment_sent_t on_sent;
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

/* Puts it into the map of the open ones; NULL when out of memory. */
Deployment *deployment_new(Deployments *ds, const char *device);
/* Takes it out, if it is there. NULL-safe. */
Deployment *deployment_free(Deployment *d);
void deployment_log(const Deployment *d, LogLevel level, const char *what);
/* Tells the requests that wait for news of it. */
void deployment_tell(Deployments *ds, const char *device, uint64_t version, bool final);

/* SPDX-License-Identifier: MIT */
/* current.json: the deployment that was committed last, as it was proved and as it has been found since. */
#pragma once

#include "lib/data/json-fields.h"

typedef struct CurrentService {
    char *name, *container, *id;
    char *replica_of;        /* the service that it is a further container of; NULL: it is no such one */
    char *image, *image_id;  /* the name in the compose file; what runs */
    char *previous_image_id; /* the last good one before that */
    char *previous_image;    /* its name in the compose file of that time; NULL: an older agent did not note it */
    char *pull_policy;       /* as the compose file says it, or NULL */
    cJSON *labels;           /* watch_labels_select() */
    char *hash;              /* of its settings, see compose/plan/plan.h */
    char *state;             /* "running", or "exited" of what had ended well when it was proved */
    char *static_dir, *pid_file, *health;
    int pid; /* its first process; with start_ticks one process for good */
    uint64_t start_ticks;
    uint64_t health_interval; /* of its health check, in microseconds; 0: it has none, or an older agent wrote this */
    char **host_ports;
    cJSON *environment, *config;
    char *ordered; /* the digest by the cloud's order, if one holds */
    cJSON *rest;
} CurrentService;

typedef struct Current {
    char *version, *id, *sha256, *inputs; /* inputs: store_inputs_digest() */
    usec_t at;
    char *name;      /* of the compose project */
    char *file_name; /* what the file calls itself; "" when nothing, NULL: an older agent did not note it */
    char *previous;  /* the version that a rollback goes back to */
    cJSON *networks, *volumes;
    CurrentService *services;
    size_t n_services;
    cJSON *rest;
} Current;

extern const JsonType current_type;

Current *current_free(Current *c);
DEFINE_CLEANUP(Current, current_free)

/* *ret is NULL when nothing was ever committed. */
int current_load(Current **ret, Error *err) _must_check_;
int current_save(const Current *c, Error *err) _must_check_;
/* What has the form of the file, wherever it comes from; NULL when out of memory. */
Current *current_from_json(const cJSON *o);
Current *current_copy(const Current *c);

/* `c` may be NULL. */
CurrentService *current_find(const Current *c, const char *service);
bool current_service_runs(const CurrentService *s);
/* Takes what `with` owns. */
void current_service_replace(CurrentService *s, CurrentService *with);
void current_service_done(CurrentService *s);

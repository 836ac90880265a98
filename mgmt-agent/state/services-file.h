/* SPDX-License-Identifier: MIT */
/* services.json: how the services were, for the agent after this one. */
#pragma once

#include "lib/data/json-fields.h"

/* The last time that a service was not well. */
typedef struct ServiceTrouble {
    char *what;          /* a state of the service, by its name */
    usec_t since, until; /* until 0: it goes on */
    int exit_code, restarts;
    char *error;  /* podman cannot be asked; or what is wrong with one that runs, where its health check says nothing */
    bool cut_off; /* all that ails it is that nobody listens on a port that it publishes */
    char *log;
} ServiceTrouble;

/* As in agent.status, with what only the agent after this one needs. */
typedef struct ServiceStatus {
    char *name, *state;
    usec_t since;
    ServiceTrouble *trouble; /* NULL: never */
    char *id;                /* of its container; from here on NULL or 0 in agent.status */
    unsigned tries;          /* how often we tried to bring it back; 0 in the file of another boot */
    bool recreated;
} ServiceStatus;

typedef struct ServicesFile {
    ServiceStatus *services;
    size_t n_services;
    ServiceStatus *removed; /* by a deployment, in the middle of their trouble */
    size_t n_removed;
    char *boot_id; /* services_file_save() fills it in */
} ServicesFile;

/* A file that is missing or cannot be read counts as empty. */
void services_file_load(ServicesFile *ret);
int services_file_save(const ServicesFile *f, Error *err) _must_check_;
void services_file_done(ServicesFile *f);

/* As an array; NULL when out of memory. */
cJSON *service_statuses_to_json(const ServiceStatus *services, size_t n);

/* SPDX-License-Identifier: MIT */
/* A compose file once it is resolved: services, networks and volumes without a variable, in one normal form. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

/* One service, variable-free, in one normal form whatever short or long form the file used. */
typedef struct ComposeService {
    char *name;
    char *replica_of;  /* the service that it is a further container of, see compose/resolve-replicas.h; else NULL */
    unsigned replicas; /* how many the file asks for; 1 of those, 0 is 1 */
    unsigned line;
    char *container_name; /* always set: the file's, else PROJECT_SERVICE_1 */
    char *image;          /* as written */
    char *pull_policy;    /* "always", "missing", "never" or NULL */
    cJSON *environment;   /* object: KEY → string; keys without a value are resolved by the lookup */
    cJSON *config;        /* object: see compose/model/normal-form.h; never NULL */
    char **depends_on;    /* names, sorted */
    cJSON *
        depends_conditions; /* object: name → "service_started" | "service_healthy" | "service_completed_successfully" */
    char **restarts_with;        /* of depends_on: made anew whenever one of these is */
    cJSON *healthcheck;          /* see compose/model/normal-form.h; NULL when the file has none */
    char *restart;               /* "no", "always", "on-failure[:n]", "unless-stopped"; never NULL ("no") */
    char **networks;             /* names of top-level networks, sorted; {"default"} when none is named */
    char **bind_sources;         /* absolute host paths that must exist */
    char **volumes;              /* names of top-level volumes in use */
    char **host_ports;           /* "ADDRESS:PORT/PROTO", address may be "" */
    unsigned stop_grace_seconds; /* stop_grace_period, 10 unless set */
    char config_hash[65];        /* set by compose_hash_services() */
} ComposeService;

typedef struct ComposeProject {
    char *name;
    ComposeService *services; /* in start order: every service stands behind those it depends on */
    size_t n_services;
    cJSON *networks; /* object: name → definition in normal form ("default" always there) */
    cJSON *volumes;
} ComposeProject;

ComposeProject *compose_project_free(ComposeProject *p);
DEFINE_CLEANUP(ComposeProject, compose_project_free)
const ComposeService *compose_service_find(const ComposeProject *p, const char *name);
/* The name by which the file knows it, and therefore the box's policy. */
const char *compose_declared_name(const ComposeService *s);
/* The keys by which a service shares what another container has: "service:NAME" or "container:NAME". Ends with NULL. */
extern const char *const compose_shared_keys[];
/* The service whose part this one shares by that key, through all that lie between; NULL: it has its own. */
const ComposeService *compose_owner(const ComposeProject *p, const ComposeService *s, const char *key);
/* The name of the container that it shares that part with, of this project or not; borrowed, NULL: none. */
const char *compose_shared_container(const ComposeProject *p, const ComposeService *s, const char *key);
/* Whether it shares something with one of these services, directly or through others. */
bool compose_lives_in(const ComposeProject *p, const ComposeService *s, char *const *names);

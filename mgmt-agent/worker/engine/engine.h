/* SPDX-License-Identifier: MIT */
/* What makes a service's container. There are two of them, whose containers are alike: same names, labels, networks and order.
 * Everything before and after (policy, binds, journal, proof, rollback) does not ask which it was. */
#pragma once

#include <stdbool.h>

#include "compose/model/project.h"
#include "mgmt-agent/worker/podman/podman-compose.h"
#include "mgmt-agent/worker/podman/podman.h"

#define ENGINE_PARALLEL_MAX 32

/* What a deployment lends to its engines. */
typedef struct EngineContext {
    Podman *podman;
    const Driver *driver;
    const PodmanUser *user;
    const ComposeProject *project;
    const char *version; /* of the snapshot */
    const char *folder;  /* of the podman user, for files that it reads */
    unsigned parallel;   /* containers that are made at the same time, at most ENGINE_PARALLEL_MAX */
    const char *(*image)(const char *service, void *userdata); /* its id */
    const char *(*bind)(const char *source, void *userdata);   /* the host path to mount for a source */
    void *userdata;
} EngineContext;

typedef struct EngineJob {
    const ComposeService *service;
    char *output; /* what was printed when it failed, or what was mended, redacted; owned by the caller */
} EngineJob;

typedef struct Engine {
    const char *name; /* as COMPOSE_ENGINE has it */
    /* What can be done before anything is stopped. */
    int (*stage)(const EngineContext *w, const ComposeService *s, Error *err);
    /* Makes and starts containers of services that do not depend on each other. When it returns 0, podman has started each of
     * them. `first`: no service of this deployment was started before. Errors: apply.not-started with podman's reason. */
    int (*start)(const EngineContext *w, EngineJob *jobs, size_t n, bool first, Error *err);
} Engine;

extern const Engine engine_podman_compose, engine_libpod;

/* The engine for a service. `setting` is COMPOSE_ENGINE or NULL. *ret_why, when "auto" has chosen: a new sentence; else NULL. */
const Engine *engine_for(const char *setting, const Driver *driver, const ComposeProject *p, const ComposeService *s,
                         char **ret_why);

/* SPDX-License-Identifier: MIT */
/* What a push would change, service by service. Pure: what is wanted and what was observed go in, a decision comes
 * out. */
#pragma once

#include "compose/model/project.h"

/* Labels on every container that the agent makes. */
#define LABEL_SERVICE "io.tucomunidad.service"
#define LABEL_HASH "io.tucomunidad.config-hash"
#define LABEL_PROJECT "io.podman.compose.project"
#define LABEL_VERSION "io.tucomunidad.snapshot"

/* Sets config_hash of every service: SHA-256 over the canonical JSON of everything that makes its container
 * (image id, environment, configuration, definitions of its networks and volumes). image_id maps service name
 * → image id. */
int compose_hash_services(ComposeProject *p, const char *(*image_id)(const char *service, void *userdata),
                          void *userdata) _must_check_;

typedef struct ObservedContainer {
    char *id;
    char *name;
    char *service;     /* from the label (ours, else podman-compose's), may be NULL */
    char *elsewhere;   /* "PROJECT/SERVICE" when we made it for another project; NULL */
    char *image_id;    /* hex without sha256: */
    char *config_hash; /* label, "" when not ours */
    char *state;       /* podman's: "running", "exited", "created", "paused", … */
    int exit_code;
} ObservedContainer;

typedef enum PlanAction {
    PLAN_KEEP, /* already runs as wanted */
    PLAN_CREATE,
    PLAN_REPLACE,
    PLAN_REMOVE, /* a container of this project that the file does not know */
    _PLAN_ACTION_MAX,
} PlanAction;
const char *plan_action_to_string(PlanAction a);

typedef struct PlanStep {
    PlanAction action;
    char *service;
    char *container; /* name it has or will have */
    char *old_id;    /* replace, remove, keep */
    char *reason;    /* "image changed; environment changed: A, B (values hidden)" */
    char *engine;    /* what makes its new container; set by who knows the box, else NULL */
    char *why;       /* that engine; NULL: it was asked for */
    char *with;      /* the service whose change takes it along; NULL: none does */
} PlanStep;

typedef struct Plan {
    PlanStep *steps; /* wanted services in start order, then removals */
    size_t n_steps;
    size_t n_changes; /* steps that are not KEEP */
} Plan;

/* `previous` is the project that the last good push made, or NULL; it only serves to explain. A service is
 * kept when a container with its name and hash runs (or has exited 0 and is a one-shot: restart "no"), unless what it
 * depends on with `restart: true` is made anew, or what waits for it to complete is. A
 * foreign container that holds a wanted name but is not of this project is plan.name-taken. A network whose
 * definition differs from `previous` is plan.network-changed (containers on it cannot move: use another
 * name). */
int compose_plan(const ComposeProject *wanted, const ComposeProject *previous, const ObservedContainer *observed,
                 size_t n_observed, Plan **ret, Error *err) _must_check_;
Plan *plan_free(Plan *p);
DEFINE_CLEANUP(Plan, plan_free)

/* Limits the plan to the services in `only`: others that run stay as they are, whatever differs; others that are
 * missing are not made; and nothing is removed. Services in `again` (may be NULL) are recreated although nothing about
 * them changes. Both end with NULL. */
int plan_limit(Plan *p, char *const *only, char *const *again) _must_check_;

/* Behind the reason that the step of this service has. */
int plan_add_reason(Plan *p, const char *service, const char *more) _must_check_;

/* Has every kept service replaced that must go along with those that are made anew; compose_plan() has done so. */
int compose_plan_take_along(const ComposeProject *wanted, Plan *plan) _must_check_;
/* Makes a step that keeps a container one that replaces it. */
int plan_replace(Plan *p, PlanStep *step, const char *reason) _must_check_;

/* {"changes": n, "steps": [{"service","action","container","reason","engine","engineReason"}]}; the last two of new containers */
cJSON *plan_to_json(const Plan *p);

void observed_done(ObservedContainer *o);

/* SPDX-License-Identifier: MIT */
/* One row for each key of a compose file: what it may look like, who must allow it, and what becomes of it. The table
 * of a service's keys is compose/service-keys.c; all code that handles keys walks over it. */
#pragma once

#include <cjson/cJSON.h>

#include "compose/model/project.h"
#include "lib/base/map.h"

typedef struct Place Place;
typedef struct PolicyCheck PolicyCheck;
typedef struct Normaliser Normaliser;
typedef struct RenderService RenderService;
typedef struct SpecService SpecService;
typedef struct ComposeKey ComposeKey;

enum {
    SHAPE_TEXT = 1 << 0,
    SHAPE_LIST = 1 << 1,
    SHAPE_MAP = 1 << 2,
    SHAPE_NULL = 1 << 3,
};

typedef struct Shape {
    unsigned allowed;           /* SHAPE_ flags */
    const ComposeKey *members;  /* mapping: the keys it may have; NULL: any, then: */
    const struct Shape *values; /* mapping with any keys: their values */
    const struct Shape *items;  /* list: its items */
} Shape;

/* Refuses a value (policy.refused) or lets it pass. Called with the file's literal value first, then with the normal
 * form's. */
typedef int (*policy_check_t)(const PolicyCheck *c, const ComposeKey *key, const cJSON *value);
/* Puts a value into the normal form (normal-form.h). */
typedef int (*normalise_t)(const Place *at, const Normaliser *n, ComposeService *s);
/* Writes a member of the normal form for podman-compose. */
typedef int (*render_t)(const RenderService *r, const char *key, const cJSON *value);
/* Writes it as a member of libpod's description of a container. */
typedef int (*spec_t)(const SpecService *r, const ComposeKey *key, const cJSON *value);
/* What the box adds to a comparison; each may be NULL. */
typedef struct ProofFacts {
    const Map *links; /* bind source that is a link → what it leads to */
    const Map *ids;   /* container that others share something with → its id */
} ProofFacts;
/* Whether a container, as podman inspects it, has what the service asks for: 0, 1 with a sentence, or negative errno. */
typedef int (*prove_t)(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts,
                       const cJSON *inspected, char **ret);

struct ComposeKey {
    const char *key; /* NULL ends a table */
    const Shape *shape;
    const char *unsupported; /* why it is refused and what to do instead; NULL: supported */
    /* the rest is for keys of a service */
    policy_check_t policy;   /* NULL: free */
    const char *const *free; /* what needs no permission; ends with NULL */
    const char *cut;         /* characters that end an item's name */
    normalise_t normalise;   /* NULL: read elsewhere, or refused */
    render_t render;         /* NULL: the engine does it another way */
    const char *member;      /* libpod's name for it, with the objects that it is in: "resource_limits.pids.limit" */
    spec_t spec;             /* NULL: it is no setting of the container */
    prove_t prove;           /* NULL: not compared; podman does what it was told */
};

/* Alphabetically. */
extern const ComposeKey compose_service_keys[];

/* NULL when a service has no such key. */
const ComposeKey *compose_service_key(const char *key);

/* SPDX-License-Identifier: MIT */
/* Compose files (compose-spec.io), pure: text in, result or error out. The path of a push:
 *   compose_parse → compose_policy_check → compose_required_keys → compose_resolve → compose_policy_check_project
 *   → compose_hash → compose_plan → compose_render. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/data/yaml.h"

/* A file that passed strict YAML and the schema, variables still in it. */
typedef struct ComposeFile ComposeFile;

/* Strict YAML (lib/data/yaml.h), then the schema: unknown keys are compose.unknown-key (with the nearest known key
 * as a hint), wrong shapes compose.bad-type, no services compose.no-services, `extends`/`include` and other
 * keys that reach outside the file compose.unsupported-key. Keys beginning with x- are dropped. Services with
 * `profiles` are left out (as `docker compose up` does without --profile). Errors carry file, line and key. */
int compose_parse(const char *text, size_t len, const char *file, ComposeFile **ret, Error *err) _must_check_;
ComposeFile *compose_file_free(ComposeFile *f);
DEFINE_CLEANUP(ComposeFile, compose_file_free)
const YamlNode *compose_file_root(const ComposeFile *f);
const char *compose_file_name(const ComposeFile *f);

/* Where variables come from: the value, "" when set and empty, NULL when unset. */
typedef const char *(*compose_lookup_t)(const char *key, void *userdata);

/* compose/parse/interpolate.h holds the grammar. All variables that the file cannot do without (no default, not inside an
 * alternative that is not taken), sorted, once each. New strv in *ret. */
int compose_required_keys(const ComposeFile *f, compose_lookup_t lookup, void *userdata, char ***ret, Error *err)
    _must_check_;

/* One service, variable-free, in one normal form whatever short or long form the file used. */
typedef struct ComposeService {
    char *name;
    unsigned line;
    char *container_name;   /* always set: the file's, else PROJECT_SERVICE_1 */
    char *image;            /* as written */
    char *pull_policy;      /* "always", "missing", "never" or NULL */
    cJSON *environment;     /* object: KEY → string; keys without a value are resolved by the lookup */
    cJSON *config;          /* object: see compose/normalise/normal-form.h; never NULL */
    char **depends_on;      /* names, sorted */
    cJSON *depends_conditions; /* object: name → "service_started" | "service_healthy" | "service_completed_successfully" */
    cJSON *healthcheck;     /* see compose/normalise/normal-form.h; NULL when the file has none */
    char *restart;          /* "no", "always", "on-failure[:n]", "unless-stopped"; never NULL ("no") */
    char **networks;        /* names of top-level networks, sorted; {"default"} when none is named */
    char **bind_sources;    /* absolute host paths that must exist */
    char **volumes;         /* names of top-level volumes in use */
    char **host_ports;      /* "ADDRESS:PORT/PROTO", address may be "" */
    unsigned stop_grace_seconds; /* stop_grace_period, 10 unless set */
    char config_hash[65];   /* set by compose_hash_services() */
} ComposeService;

typedef struct ComposeProject {
    char *name;
    ComposeService *services; /* in start order: every service stands behind those it depends on */
    size_t n_services;
    cJSON *networks;          /* object: name → definition in normal form ("default" always there) */
    cJSON *volumes;
} ComposeProject;

typedef struct ComposeResolveOptions {
    const char *project;      /* project name; the file's own `name:` must be equal or absent */
    const char *base_dir;     /* relative bind sources and env_file paths are below it; they may not leave it */
    compose_lookup_t lookup;
    void *userdata;
    /* Text of a service's env_file; new string in *ret. The path is clean: relative to base_dir and below it when the
     * file has a relative one, else absolute, for the callback to judge. NULL: env_file is refused. */
    int (*read_env_file)(const char *path, char **ret, void *userdata, Error *err);
} ComposeResolveOptions;

/* Interpolates every value (not keys) and normalises. Errors, with file, line and key path: interpolate.* (see
 * interpolate.h), compose.bad-value, compose.duplicate-container-name, compose.duplicate-port, compose.missing-network,
 * compose.missing-volume, compose.missing-dependency, compose.dependency-cycle, compose.bad-port, compose.bad-duration,
 * compose.no-image, compose.network-mode (all but bridge — podman-compose 1.0.3 cannot), compose.literal-variable,
 * compose.unsupported-key, compose.name. */
int compose_resolve(const ComposeFile *f, const ComposeResolveOptions *options, ComposeProject **ret, Error *err)
    _must_check_;
ComposeProject *compose_project_free(ComposeProject *p);
DEFINE_CLEANUP(ComposeProject, compose_project_free)
const ComposeService *compose_service_find(const ComposeProject *p, const char *name);

/* The variable-free file for people (`secboxctl render`): environment inline, secrets as they are. New string. */
char *compose_print(const ComposeProject *p);

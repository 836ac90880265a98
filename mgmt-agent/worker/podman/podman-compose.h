/* SPDX-License-Identifier: MIT */
/* podman-compose, which makes the containers. What differs between its versions is one strategy, probed once. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "mgmt-agent/host/podman-user.h"

typedef enum DriverStrategy {
    STRATEGY_CLASSIC, /* up to 1.0.6: `env_file:` becomes podman's --env-file; --in-pod is not known to 1.0.3 */
    STRATEGY_MODERN,  /* later: it would read the env file itself and print it as -e KEY=VALUE, so the path goes by
                         --podman-run-args; pods are switched off */
} DriverStrategy;

typedef struct Driver {
    char *program; /* path of podman-compose */
    char *version; /* "1.0.3" */
    DriverStrategy strategy;
    bool has_in_pod; /* the option --in-pod is known */
} Driver;

const char *driver_strategy_to_string(DriverStrategy s);

/* Asks `program` (NULL = podman-compose on the usual paths) for its version, as the podman user; remembered in RUN_DIR until
 * the file changes. Errors: compose-driver.missing, compose-driver.unknown-version. */
int driver_probe(const char *program, const PodmanUser *user, Driver *ret, Error *err) _must_check_;
void driver_done(Driver *d);

/* Pure: what a version can do. -EINVAL when the text holds no version. */
int driver_parse_version(const char *text, char **ret_version, DriverStrategy *ret_strategy,
                         bool *ret_has_in_pod) _must_check_;
/* Pure: the argument vector that starts the services of one file. run_args: see compose/render/run-args.h; may be NULL. A
 * new strv. */
char **driver_argv_up(const Driver *d, const char *project, const char *file, const char *env_file,
                      char *const *run_args);

/* Pure: why nothing was started, by what podman-compose printed: podman's own last line of an error, without what stands before
 * it in each. A new string; NULL when no line is one. */
char *driver_reason(const char *output);

typedef struct DriverJob {
    const char *service;
    const char *file;     /* compose file with this service only */
    const char *env_file; /* its 0600 env file */
    char **run_args;      /* options for podman run; may be NULL; the caller's */
    char *output;         /* set when it ran: the last lines, redacted; owned by the caller of driver_up_all() */
    int result; /* 0 when podman-compose ended with 0, which proves nothing; negative when it failed or hung */
} DriverJob;

/* Runs the jobs, at most `parallel` at a time; the first alone when `first_alone` (it makes the networks that the others
 * share). Fails only when nothing could be run. */
int driver_up_all(const Driver *d, const PodmanUser *user, const char *project, DriverJob *jobs, size_t n,
                  unsigned parallel, bool first_alone, Error *err) _must_check_;

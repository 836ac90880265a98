/* SPDX-License-Identifier: MIT */
/* Podman's own word, over its REST API on a UNIX socket that this worker has podman serve for as long as it lives.
 * Every call has a deadline. Common errors: podman.unreachable, podman.timeout, podman.refused (with podman's sentence). */
#pragma once

#include <stdbool.h>

#include "compose/plan/plan.h"
#include "lib/base/clock.h"
#include "lib/data/json.h"
#include "mgmt-agent/worker/podman/podman-answer.h"
#include "mgmt-agent/host/podman-user.h"

typedef struct Podman Podman;

/* Starts `podman system service` as the user and waits until it answers. */
int podman_open(const PodmanUser *user, Podman **ret, Error *err) _must_check_;
/* Beside it one whose new containers have another OCI runtime, which its API cannot be told. One at a time. */
int podman_open_runtime(const PodmanUser *user, const char *runtime, Podman **ret, Error *err) _must_check_;
Podman *podman_free(Podman *p);
DEFINE_CLEANUP(Podman, podman_free)
const char *podman_version(const Podman *p);
/* The folder of podman's store; borrowed. The first call may take as long as `podman info`. */
int podman_graphroot(Podman *p, const char **ret, Error *err) _must_check_;

/* All containers of this podman, of any project; see podman_answer_containers(). */
int podman_list(Podman *p, const char *project, ObservedContainer **ret, size_t *ret_n, Error *err) _must_check_;

/* Name or id. -ENOENT (podman.no-container) when there is none. */
int podman_inspect(Podman *p, const char *container, cJSON **ret, Error *err) _must_check_;

/* Stops those that run, all at the same time, each with its own grace; the missing are no error. One that is paused goes on first,
 * since it takes no signal before. */
int podman_stop_all(Podman *p, const StopRequest *requests, size_t n, Error *err) _must_check_;

/* podman_answer_store() of a question that may take minutes: podman adds up every file. */
int podman_store(Podman *p, cJSON **ret, Error *err) _must_check_;

int podman_rename(Podman *p, const char *container, const char *name, Error *err) _must_check_;
int podman_start(Podman *p, const char *container, Error *err) _must_check_;
/* Whether its user's service manager has ended since podman_open(), and the user's folder in /run with it: what this podman, which
 * still sees the old one, starts now no other podman can look at. */
bool podman_is_outlived(const Podman *p);
/* Removes by force; a missing container is no error. */
int podman_remove(Podman *p, const char *container, Error *err) _must_check_;

/* Runs a command in a running container without taking its output: the exit status, 124 when it did not end in time
 * (it is left running), negative on error. */
int podman_exec(Podman *p, const char *container, const cJSON *argv, usec_t timeout, Error *err) _must_check_;

/* How long podman means to let pass between two health checks, from what podman_inspect() shows; 0: there is none. */
usec_t podman_health_interval(const cJSON *info);
/* Runs the health check that podman knows of (an image's own, as a rule) once: 1 healthy, 0 not, negative on error. */
int podman_healthcheck(Podman *p, const char *container, usec_t timeout, Error *err) _must_check_;

/* The last lines of its log, redacted; a new string, "" when there are none. */
char *podman_log_tail(Podman *p, const char *container, unsigned lines);

/* What podman has noted of a container since then (a time as podman writes it), best effort: whether it has begun to restart it
 * by its policy, and with which code it has ended (negative: it has not, or podman cannot tell). */
typedef struct PodmanPast {
    bool restarted;
    int exit_code;
} PodmanPast;
PodmanPast podman_past(Podman *p, const char *container, const char *since);

/* The id of a local image, hexadecimal without prefix. -ENOENT (image.missing) when it is not here. */
int podman_image_id(Podman *p, const char *reference, char **ret, Error *err) _must_check_;
int podman_inspect_image(Podman *p, const char *reference, cJSON **ret, Error *err) _must_check_;
/* All digests of a local image, by name or id. -ENOENT (image.missing) when it is not here. */
int podman_image_digests(Podman *p, const char *reference, LocalImage *ret, Error *err) _must_check_;
/* Pulls; `policy` is "always" or "missing". The id as above. Errors: pull.failed with podman's sentence, pull.timeout. */
int podman_pull(Podman *p, const char *reference, const char *policy, usec_t timeout, char **ret,
                Error *err) _must_check_;
/* Gives an image another name, so that no prune takes it. */
int podman_tag(Podman *p, const char *image, const char *repository, const char *tag, Error *err) _must_check_;
/* All images as podman lists them. 4.3 shows what was pulled by digest with that as its name, among the tags. */
int podman_images(Podman *p, cJSON **ret, Error *err) _must_check_;
/* Removes this name, or, by its last name or by id, the image; podman refuses while a container has it. Best effort. */
void podman_remove_image(Podman *p, const char *image);
/* Removes names below `repository` whose tag is not in keep (NULL-terminated). Best effort. */
void podman_drop_others(Podman *p, const char *repository, char *const *keep);
/* Whether there is a "network" or "volume" of this name: 1, 0, or negative on error. */
int podman_exists(Podman *p, const char *kind, const char *name, Error *err) _must_check_;
/* What podman says of it; -ENOENT when there is none. */
int podman_show(Podman *p, const char *kind, const char *name, cJSON **ret, Error *err) _must_check_;
/* Removes the project's named volumes, with what is in them; one that a container still has stays, and is an error. */
int podman_remove_volumes(Podman *p, const char *project, Error *err) _must_check_;
/* Removes the project's networks that nobody uses and that `keep` (definitions with a "name") does not have. Best effort. */
void podman_remove_networks(Podman *p, const char *project, const cJSON *keep);

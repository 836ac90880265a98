/* SPDX-License-Identifier: MIT */
/* Has podman make things from its own descriptions of them; see compose/spec/spec.h. */
#pragma once

#include "mgmt-agent/worker/podman/podman.h"

/* Nothing is done when there is one of this name already; `kind` is "network" or "volume". */
int podman_create(Podman *p, const char *kind, const char *name, const cJSON *spec, Error *err) _must_check_;
/* The id of the new container, which does not run yet. */
int podman_create_container(Podman *p, const cJSON *spec, char **ret, Error *err) _must_check_;
/* The same for n at the same time. ret_ids, errs and results are arrays of n, empty before; the caller frees what is in them.
 * results[i] is what podman_create_container() would have returned. */
int podman_create_containers(Podman *p, cJSON *const *specs, size_t n, char **ret_ids, Error *errs,
                             int *results) _must_check_;
/* Frees a name that no container has, and that podman's store keeps for one whose creation was killed. A name that could be the
 * beginning of an id is left alone. */
int podman_free_name(Podman *p, const char *name, Error *err) _must_check_;
/* Starts what has just been made, for which podman may have to copy an image's files into new volumes. */
int podman_start_new(Podman *p, const char *id, Error *err) _must_check_;
/* The same for n at the same time. results[i], of an array of n: 0, or negative: podman_start_new() says why. */
int podman_start_all_new(Podman *p, char *const *ids, size_t n, int *results) _must_check_;

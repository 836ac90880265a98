/* SPDX-License-Identifier: MIT */
/* What a podman that was killed half-way (a boot that is cut short, a machine without memory) has left below /run, and by which its
 * next ones never start a container again. */
#pragma once

#include "mgmt-agent/worker/podman/podman.h"

typedef enum StaleState {
    STALE_NONE,
    STALE_NETNS,   /* the network namespace of rootless bridges, named and not set up: host/rootless-netns.h */
    STALE_RUNTIME, /* the OCI runtime's record of a container that podman takes for stopped */
} StaleState;

/* Which of it this sentence of podman's complains of, when it was to start the container of that id. */
StaleState podman_stale_state(const char *sentence, const char *id);

/* Starts it by `start` (podman_start, podman_start_new), and where that fails for such state: removes it, and tries once more. Only
 * what belongs to this container or this store is removed, by the user that it belongs to: the namespace when none of the store's
 * containers runs on a bridge, the record by the runtime itself, which ends what is left of the container. *ret_removed: NULL, or a
 * new sentence that says what was removed. "podman.stale" where something is in the way and cannot be removed. */
int podman_start_over_stale(Podman *p, const PodmanUser *user, const char *container,
                            int (*start)(Podman *p, const char *container, Error *err), char **ret_removed,
                            Error *err) _must_check_;

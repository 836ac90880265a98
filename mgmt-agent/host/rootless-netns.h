/* SPDX-License-Identifier: MIT */
/* The network namespace in which rootless podman has the bridges of a user's containers. A file below the user's runtime folder
 * names it; a podman that is killed while it makes it leaves the file, which its next ones take for all of it. */
#pragma once

#include "lib/base/clock.h"
#include "mgmt-agent/host/podman-user.h"

/* The files that podman 4 and podman 5 name it by, for the store in this folder (graphRoot): a new vector of two, NULL without
 * memory. The user is not root. */
char **rootless_netns_files(const PodmanUser *user, const char *graphroot);

/* The one of them that has been there for a while, at that wall clock, without the rest of what podman makes with it: a new
 * string, else NULL. */
char *rootless_netns_half_made(const PodmanUser *user, const char *graphroot, usec_t now);

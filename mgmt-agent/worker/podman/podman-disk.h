/* SPDX-License-Identifier: MIT */
/* On which disk podman keeps what it makes. */
#pragma once

#include "mgmt-agent/worker/podman/podman.h"

/* The folder of the store that has this image: GRAPHROOT, or an additional store of images. A new string; NULL where the image does
 * not tell. For a look at the disk: podman_graphroot() takes half a second where podman has no container yet. */
char *podman_disk_of_image(Podman *p, const char *image);

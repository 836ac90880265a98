/* SPDX-License-Identifier: MIT */
/* Users of containers as the host sees them. */
#pragma once

#include <stdint.h>

#include "mgmt-agent/worker/podman/podman.h"

/* The maps by which podman's containers run: an answer of podman for podman_answer_host_id(). Podman takes a while for it. */
int podman_id_maps(Podman *p, cJSON **ret, Error *err) _must_check_;
/* Pure: what `id` in a container is on the host, by the map "uidmap" or "gidmap"; -ERANGE when podman has none for it. */
int podman_answer_host_id(const cJSON *maps, const char *map, uint32_t id, uint32_t *ret) _must_check_;

/* SPDX-License-Identifier: MIT */
/* `scale`, and `replicas` under `deploy`, above 1: each container becomes a service of its own, so that plan, journal, proof, way
 * back and status know it. The first one keeps the service's name; the others are SERVICE_2, SERVICE_3 …, whose containers are
 * PROJECT_SERVICE_2 …, as podman-compose numbers them, and the service's name is an alias that all of them have. Whoever depends
 * on the service depends on all of them. compose.replicas for what several containers cannot have in common. */
#pragma once

#include "compose/normalise/normalise.h"

/* `services` is the section of the file, for errors. The further ones stand behind all others. */
int resolve_replicas(ComposeProject *p, const Place *services) _must_check_;

/* SPDX-License-Identifier: MIT */
/* By what a container is called healthy. Pure. */
#pragma once

#include "compose/compose.h"
#include "lib/data/json.h"
#include "mgmt-agent/worker/phases/health-trial.h"

typedef struct ContainerHealth {
    bool exists;
    cJSON *argv; /* the compose file's test as a command; NULL: podman runs the image's own */
    HealthRules rules;
    usec_t start_interval; /* 0: as `interval` */
} ContainerHealth;

/* What the compose file says of it, else what its inspection does. */
ContainerHealth container_health(const ComposeService *s, const cJSON *info);
void container_health_done(ContainerHealth *h);

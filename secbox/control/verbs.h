/* SPDX-License-Identifier: MIT */
/* What secboxctl can ask of replica and queue. */
#pragma once

#include "secbox/control/control.h"
#include "secbox/health/data-health.h"
#include "secbox/queue/queue.h"
#include "secbox/replica/replica.h"

/* The on_ask's userdata. Replica and queue are NULL where there is no DATABASE_URL. */
typedef struct ControlParts {
    Replica *replica;
    Queue *queue;
    const DataHealth *health;
    const bool *tunnel_up; /* the device tunnel */
} ControlParts;

void control_answer_verb(Question *q, const cJSON *message, void *userdata);

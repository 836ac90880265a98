/* SPDX-License-Identifier: MIT */
/* What a worker works on: the box's own configuration, and whose podman holds its containers, open to be asked. */
#pragma once

#include "env/env-file.h"
#include "mgmt-agent/worker/podman/podman-compose.h"
#include "mgmt-agent/worker/podman/podman.h"

typedef struct Box {
    EnvFile *agent_env; /* NULL: not read, or cannot be */
    PodmanUser user;
    Podman *podman;
    Driver driver;
} Box;

void box_done(Box *b);

/* mgmt-agent.env, once; each of its errors is the caller's. */
int box_load_env(Box *b, Error *err) _must_check_;
/* The same without any check, for a job that does without the file. */
int box_try_env(Box *b);

/* What is not open yet: user, podman, and its driver. `podman_compose` as in WorkerOptions. */
int box_open(Box *b, const char *podman_compose, Error *err) _must_check_;
/* Without the driver, where only podman is asked. */
int box_open_podman(Box *b, Error *err) _must_check_;
/* COMPOSE_ENGINE of mgmt-agent.env; NULL: not set, or the file is not read. */
const char *box_engine_setting(const Box *b);

/* For a job that goes on with what was: does without mgmt-agent.env, and after a boot waits for the podman user's service
 * manager. */
int box_open_again(Box *b, const char *podman_compose, Error *err) _must_check_;

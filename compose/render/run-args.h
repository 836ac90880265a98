/* SPDX-License-Identifier: MIT */
/* Options of `podman run` for what podman-compose has no words for. It puts them before its own. */
#pragma once

#include "compose/model/project.h"

/* A new strv in *ret (NULL when there is nothing to say), each ready for --podman-run-args, which podman-compose splits
 * as a shell does: how long podman waits when it stops the container, a CMD health check that runs without a shell, name
 * servers and namespaces, limits, aliases on a service's one network, an entrypoint that is taken away. */
int compose_render_run_args(const ComposeService *s, char ***ret) _must_check_;

/* Whether a test goes by compose_render_run_args(): then it stands in no file that is used with them. */
bool run_args_hold_test(const cJSON *test);

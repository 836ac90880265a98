/* SPDX-License-Identifier: MIT */
/* Which of the box's two engines can make a service's container. Pure; mgmt-agent/worker/engine/ are the engines. */
#pragma once

#include "compose/model/project.h"

/* As COMPOSE_ENGINE has them. */
#define ENGINE_AUTO "auto"
#define ENGINE_LIBPOD "libpod"
#define ENGINE_PODMAN_COMPOSE "podman-compose"
/* What is used where it says nothing. */
#define ENGINE_DEFAULT ENGINE_AUTO

/* Whether podman-compose can: 0, else the error of compose_render() or compose_render_env(), which names the key. */
int engine_check_podman_compose(const ComposeProject *p, const ComposeService *s, Error *err) _must_check_;
/* Whether libpod can, of what is known before images and host paths are: 0, else the error of compose_spec() or
 * compose_spec_network(). */
int engine_check_libpod(const ComposeProject *p, const ComposeService *s, Error *err) _must_check_;
/* The part of it about the networks that the service uses. */
int engine_check_definitions(const ComposeProject *p, const ComposeService *s, Error *err) _must_check_;
/* Whether an engine can make each of the services, under that COMPOSE_ENGINE (NULL: unset). With "podman-compose" the error is
 * that one's and names the way out, else it is that of compose_spec(). */
int engine_check_all(const char *setting, const ComposeProject *p, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Who mounts what. */
#pragma once

#include "compose/policy/bind-rules.h"
#include "compose/compose.h"
#include "lib/base/map.h"
#include "mgmt-agent/worker/podman/podman.h"

typedef struct BindUses {
    BindUse *items;
    size_t n;
} BindUses;

void bind_uses_done(BindUses *u);
int bind_uses_add(BindUses *u, const char *service, const char *source, bool writable) _must_check_;
/* What its services mount, links followed as deploy_bind_target() says. */
int bind_uses_of_project(const ComposeProject *p, const Map *bind_targets, BindUses *u) _must_check_;
/* What those of the containers mount that we made, as podman says, whatever their state; of another project's the service is
 * "PROJECT/SERVICE". */
int bind_uses_of_containers(Podman *podman, const ObservedContainer *containers, size_t n, BindUses *u,
                            Error *err) _must_check_;
/* What one container mounts, from its inspection. */
int bind_uses_of_container(const cJSON *info, const char *service, BindUses *u) _must_check_;
/* Podman's store: every named volume is in it, so it counts as a folder that containers may write to. Its service is "". */
int bind_uses_add_store(Podman *podman, BindUses *u, Error *err) _must_check_;

/* "service X mounts A, and service Y may write to B, which is above it": preflight.bind-overlap. */
int bind_conflict_error(const BindUse *use, const BindUse *other, Error *err);

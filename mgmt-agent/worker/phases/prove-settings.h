/* SPDX-License-Identifier: MIT */
/* Pure: does a container, as podman inspects it, have the settings that its service asks for? */
#pragma once

#include "compose/compose.h"
#include "lib/base/map.h"

/* 0 when all agree; 1 with a new sentence in *ret that names the first setting that differs (never a value of the
 * environment); negative errno. Compared: every environment variable, no value with "${" among those asked for or any other,
 * command, published ports, mounts, networks, restart policy, user, privileged. `links` (may be NULL) has the
 * sources that are links: a container that is kept mounts what such a link led to when it was made. */
int settings_compare(const ComposeService *s, const ComposeProject *p, const Map *links, const cJSON *inspected, char **ret)
    _must_check_;

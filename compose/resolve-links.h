/* SPDX-License-Identifier: MIT */
/* `links` of services: podman has none, so the service that is linked to gets the alias, on the networks that both are on. */
#pragma once

#include "compose/normalise/normalise.h"

/* Adds the aliases, and that each service depends on those to which it is linked. Errors: compose.missing-dependency,
 * compose.bad-value, compose.network-mode. */
int resolve_links(ComposeProject *p, const Normaliser *n, const Place *services) _must_check_;

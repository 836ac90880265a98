/* SPDX-License-Identifier: MIT */
/* Tables of the keys that a compose file may have, and of the shapes that their values take. */
#pragma once

#include "compose/model/service-key.h"
#include "compose/parse/place.h"

extern const Shape compose_shape;

/* Shapes of a service's members, for the rows of compose/service-keys.c. */
extern const Shape shape_text_or_null, shape_texts, shape_text_or_texts, shape_map_or_texts, shape_anything;
extern const Shape shape_configs, shape_depends_on, shape_devices, shape_gpus, shape_deploy, shape_env_file,
    shape_healthcheck, shape_logging, shape_service_networks;
extern const Shape shape_ports, shape_ulimits, shape_mounts;

/* Removes x- members (where keys are fixed) from the tree and checks the rest. Errors: compose.unknown-key,
 * compose.unsupported-key, compose.bad-type, each with its place. */
int schema_apply(YamlNode *node, const Shape *shape, const Place *at) _must_check_;

/* The key of a table nearest to one that is not in it (a typing error away), or NULL. */
const char *schema_nearest_key(const ComposeKey *table, const char *key);

/* SPDX-License-Identifier: MIT */
/* Compose files (compose-spec.io), pure: text in, result or error out. The path of a push:
 *   compose_parse → compose_policy_check → compose_required_keys → compose_resolve → compose_policy_check_project
 * → compose_hash → compose_plan → compose_render. This header covers the file and the project; policy, plan and render
 * have headers of their own. The rooms of compose/ include only what they need, never this header. */
#pragma once

#include "compose/parse/parse.h"
#include "compose/parse/variables.h"
#include "compose/render/print.h"
#include "compose/resolve.h"

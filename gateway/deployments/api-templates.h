/* SPDX-License-Identifier: MIT */
/* Routes about what boxes get when they come: templates, and the push that waits. */
#pragma once

#include "gateway/deployments/api-deployments.h"

extern const Route template_routes[]; /* of the DeploymentsApi */

/* SPDX-License-Identifier: MIT */
/* Routes about enrolment tokens, and about the boxes that wait to be let in. */
#pragma once

#include "gateway/devices/api-devices.h"

extern const Route enrolment_routes[]; /* of the DevicesApi */

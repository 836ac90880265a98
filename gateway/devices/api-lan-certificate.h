/* SPDX-License-Identifier: MIT */
/* Routes about the certificate that the cloud sends for a box's guards' pages. All is asked of the box's secbox, live, and kept
 * there: the gateway passes on requests, and certificates, and never sees a key. */
#pragma once

#include "gateway/http/request.h"

extern const Route lan_certificate_routes[]; /* of the DeviceQueries */

/* SPDX-License-Identifier: MIT */
/* Routes for SSH user certificates: a box trusts the gateway's support authority, and the principal is the box. */
#pragma once

#include "gateway/http/request.h"

extern const Route certificate_routes[]; /* of the SshCa */

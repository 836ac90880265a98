/* SPDX-License-Identifier: MIT */
/* Routes for SSH user certificates: a box trusts the gateway's support authority, and the principal is the box. */
#pragma once

#include "gateway/health/device-health.h"
#include "gateway/http/request.h"
#include "gateway/sessions/signer-link.h"

typedef struct CertificatesApi {
    SignerLink *signer;
    const DeviceHealth *health; /* which knows how the boxes' clocks go */
} CertificatesApi;

extern const Route certificate_routes[]; /* of the CertificatesApi */

/* SPDX-License-Identifier: MIT */
/* The TUNNEL_ keys of secbox.env taken together: what each provider needs. */
#pragma once

#include "env/env-file.h"

typedef enum TunnelProvider {
    TUNNEL_NONE,
    TUNNEL_CLOUDFLARE,
    TUNNEL_RATHOLE,
} TunnelProvider;

/* The names that TUNNEL_PROVIDER has for them; ends with NULL. */
extern const char *const tunnel_provider_names[];

/* Of values that env_validate() has passed; `file` names them in sentences. Errors: tunnel.missing-keys (all of them at once),
 * tunnel.not-together. */
int env_check_tunnel(const EnvFile *e, const char *file, TunnelProvider *ret, Error *err) _must_check_;

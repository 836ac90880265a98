/* SPDX-License-Identifier: MIT */
/* What relay-client is told: environment variables, and over them the keys of an env file, by the rules of env/. */
#pragma once

#include <stdint.h>

#include "env/env-tunnel.h"
#include "lib/base/clock.h"

typedef struct RelaySettings {
    EnvFile *env; /* owns the strings below */
    TunnelProvider provider;
    const char *token, *remote_name; /* NULL when not set */
    const char *public_url, *ca_file;
    const char *cloud_url;
    char *server_host;
    uint16_t server_port;
    bool tls;
    char *target_host;
    uint16_t target_port;
    usec_t heartbeat_timeout, retry_max;
} RelaySettings;

/* `env_file` NULL: the environment alone. Errors: env.*, tunnel.*; the sentence names the key. The token is known to the redactor
 * from then on. */
int relay_settings_load(const char *env_file, RelaySettings *ret, Error *err) _must_check_;
void relay_settings_done(RelaySettings *s);

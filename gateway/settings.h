/* SPDX-License-Identifier: MIT */
/* What the command line and the environment say. */
#pragma once

typedef struct Settings {
    const char *listen, *database, *state, *issuer, *cert, *key, *token_hours, *bootstrap_hours;
    const char *accept_rate, *accept_burst, *proxy_protocol, *forwarded_for;
} Settings;

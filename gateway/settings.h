/* SPDX-License-Identifier: MIT */
/* What the command line and the environment say. */
#pragma once

#include <stdbool.h>

#include "gateway/store/schema.h"

typedef struct Settings {
    const char *listen, *database, *state, *issuer, *cert, *key, *token_hours, *bootstrap_hours;
    const char *accept_rate, *accept_burst, *proxy_protocol, *forwarded_for, *install_dir;
    const char *webhook_ca, *webhook_networks, *webhook_tries, *photo_days, *import_max, *keepalive;
    const char *relay_check, *relay_ca, *relay_networks;
    const char *event_days, *bans_behind, *bans_away, *signer;
    const char *oidc_issuer, *oidc_client, *oidc_roles, *oidc_claim, *oidc_name, *oidc_ca, *oidc_hours;
    const char *role;     /* of a new token; NULL: operator */
    const char *days;     /* the same: how many it is good; NULL: until it is revoked */
    char **labels;        /* the same: KEY=VALUE of the boxes that it reaches; NULL: all */
    char **accounts;      /* the same: on boxes, that it may log in as; NULL: all */
    const char *env_file; /* where the verbs that people type find what the unit is told; NULL: GATEWAY_ENV_FILE */
    const char *head;     /* of the audit log, as it was once: NUMBER:HASH */
    bool two_person;
    bool json;
} Settings;

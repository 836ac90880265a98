/* SPDX-License-Identifier: MIT */
/* One table of what each key of mgmt-agent.env and secbox.env must be, and how secbox.env is derived from
 * mgmt-agent.env. */
#pragma once

#include <stdbool.h>

#include "env/env-file.h"

typedef enum EnvFileKind {
    ENV_AGENT = 1 << 0,  /* mgmt-agent.env */
    ENV_SECBOX = 1 << 1, /* secbox.env */
    ENV_RELAY = 1 << 2,  /* what relay-client takes of secbox.env; requires nothing */
} EnvFileKind;

typedef struct EnvRule {
    const char *key;
    unsigned kinds;    /* EnvFileKind flags: where it may stand */
    unsigned required; /* EnvFileKind flags: where it must stand and not be empty */
    bool secret;
    int (*check)(const char *value);
    const char *expects; /* completes "KEY must be …" */
    const char *example; /* for the generated example files */
    const char *help;    /* one line */
} EnvRule;

extern const EnvRule env_rules[]; /* ends with {} */
const EnvRule *env_rule_find(const char *key);

/* Reads a box's file of this kind: secbox.env, which people write, as docker compose would (dotenv.h), mgmt-agent.env in
 * the strict dialect. */
int env_load_kind(EnvFileKind kind, const char *path, EnvFile **ret, Error *err) _must_check_;

/* Checks all keys by their rules. Keys without a rule are fine in secbox.env (compose files ask for their own), and
 * env.unknown-key in mgmt-agent.env. A "${" in any value is env.unexpanded. Required keys that are absent, empty or
 * only white space: env.missing-keys, the sentence naming all of them. Else env.bad-value with key and line; values of
 * secret keys are never in the sentence. `file` may be NULL. */
int env_validate(const EnvFile *e, EnvFileKind kind, const char *file, Error *err) _must_check_;

/* How many of the required keys are present and not empty, and how many are required. */
void env_count_required(const EnvFile *e, EnvFileKind kind, unsigned *ret_present, unsigned *ret_total);

/* secbox.env from mgmt-agent.env (SPEC §4.4): CLOUD_BASE_URL, DEVICE_ID, BOOTSTRAP copied as they are (BOOTSTRAP only
 * if there), DEVICE_GATEWAY_URL from MGMT_GATEWAY_URL with the path suffix /mgmt → /device. A source that is not itself
 * valid is refused (env.source-invalid …). Errors: env.missing-keys, env.bad-gateway-url. */
int env_derive_secbox(const EnvFile *agent, EnvFile **ret, Error *err) _must_check_;

/* wss://host/x/mgmt → wss://host/x/device. New string. */
int env_derive_gateway_url(const char *mgmt_url, const char *role, char **ret, Error *err) _must_check_;

/* The commented example file of a kind, generated from the rules; what env/examples/ holds. New string. */
char *env_print_example(EnvFileKind kind);

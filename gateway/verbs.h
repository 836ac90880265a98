/* SPDX-License-Identifier: MIT */
/* The verbs of the command line; userdata is the Settings. */
#pragma once

typedef struct Settings {
    const char *listen, *database, *state, *issuer, *cert, *key, *token_hours, *bootstrap_hours;
    const char *accept_rate, *accept_burst, *proxy_protocol, *forwarded_for;
} Settings;

int verb_serve(int argc, char **argv, void *userdata);
int verb_migrate(int argc, char **argv, void *userdata);
int verb_tokens_add(int argc, char **argv, void *userdata);
int verb_tokens_list(int argc, char **argv, void *userdata);
int verb_tokens_revoke(int argc, char **argv, void *userdata);

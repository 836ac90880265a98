/* SPDX-License-Identifier: MIT */
/* Operator tokens and the schema, from the command line; userdata is the Settings. */
#pragma once

int verb_migrate(int argc, char **argv, void *userdata);
int verb_tokens_add(int argc, char **argv, void *userdata);
int verb_tokens_list(int argc, char **argv, void *userdata);
int verb_tokens_revoke(int argc, char **argv, void *userdata);

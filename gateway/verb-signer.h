/* SPDX-License-Identifier: MIT */
/* signer: the process that signs certificates; as the gateway's child, and by itself. */
#pragma once

/* As the child of a gateway, with the connection to it as descriptor 3: `key` is the file. An exit code. */
int signer_run_child(const char *key);

int verb_signer(int argc, char **argv, void *userdata);
int verb_signer_prepare(int argc, char **argv, void *userdata);

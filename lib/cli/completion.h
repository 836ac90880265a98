/* SPDX-License-Identifier: MIT */
/* Completion for shells, from the same tables as the command line and its help. */
#pragma once

#include "lib/cli/cli.h"

/* The row of such a verb in a table: its `run` is NULL, and cli_run() prints the script. */
#define CLI_COMPLETION_VERB                                                                                            \
    {                                                                                                                  \
        "completion", "SHELL", 1, 1, "what bash, zsh or fish reads to complete verbs and options", NULL, NULL          \
    }

/* The script for "bash", "zsh" or "fish": a new string. NULL for another shell, or when out of memory. */
char *completion_script(const Cli *cli, const char *shell);

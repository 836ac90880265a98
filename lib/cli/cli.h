/* SPDX-License-Identifier: MIT */
/* Verbs and options from tables; the help text comes from the same tables. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/* Exit codes shared by all command lines. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,      /* the thing asked for did not succeed, or findings */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_UNREACHABLE = 3, /* could not ask: agent, gateway or podman did not answer */
};

typedef struct CliOption {
    const char *name;  /* long name without dashes */
    const char *value; /* placeholder of its value, or NULL for a flag */
    const char *help;
    /* exactly one of these, matching `value`; in a list, which is the caller's to free (strv.h), are all that were given */
    const char **text;
    bool *flag;
    char ***list;
    char letter; /* "-f" is the same; of several options with one letter, the one that the verb before it takes */
} CliOption;

typedef struct CliVerb {
    const char *name;      /* one or two words: "push", "devices add" */
    const char *arguments; /* shown in help: "DEVICE FILE" */
    int min_args, max_args;
    const char *help;
    /* Gets the positional arguments; returns an exit code. NULL: see completion.h. */
    int (*run)(int argc, char **argv, void *userdata);
    const char *options; /* names of its options beside the common ones, separated by spaces; NULL for none */
} CliVerb;

typedef struct Cli {
    const char *program;
    const char *summary;
    const CliOption *options; /* ends with {} */
    const CliVerb *verbs;     /* ends with {}; NULL for a program without verbs */
    int max_args;             /* without verbs: how many positional arguments are accepted */
    const char *epilog;       /* printed at the end of --help, or NULL */
    const char *common;       /* with verbs: names of the options that every verb takes, separated by spaces; or NULL */
} Cli;

/* Whether `name` is among `names`, which are separated by spaces; `names` may be NULL. */
bool cli_names_option(const char *names, const char *name);

/* Parses options (anywhere on the line; `--` ends them), handles --help and --version, finds the verb (two-word
 * verbs win over one-word ones) and runs it. Unknown options, options of other verbs, unknown verbs and wrong counts
 * print one line to stderr and give EXIT_USAGE. --help after a verb shows that verb and its options. Without verbs
 * returns -1 when the caller should go on; args are in *ret_args (may be NULL). */
int cli_run(const Cli *cli, int argc, char **argv, void *userdata);
int cli_parse(const Cli *cli, int argc, char **argv, char ***ret_args);

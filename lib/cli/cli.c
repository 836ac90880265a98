/* SPDX-License-Identifier: MIT */
/* Command lines from tables: what is not in the table is refused, and help cannot drift from it. */

#include "lib/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"

static void print_option(const char *name, const char *value, const char *help)
{
    char left[64];

    snprintf(left, sizeof(left), "--%s%s%s", name, value ? " " : "", value ? value : "");
    printf("  %-28s %s\n", left, help);
}

static void print_help(const Cli *cli)
{
    printf("Usage: %s [options]%s\n%s\n", cli->program, cli->verbs ? " VERB …" : "", cli->summary);
    if (cli->verbs) {
        printf("\nVerbs:\n");
        for (const CliVerb *v = cli->verbs; v->name; v++) {
            char left[96];

            snprintf(left, sizeof(left), "%s%s%s", v->name, str_empty(v->arguments) ? "" : " ",
                     v->arguments ? v->arguments : "");
            printf("  %-28s %s\n", left, v->help);
        }
    }
    printf("\nOptions:\n");
    for (const CliOption *o = cli->options; o && o->name; o++)
        print_option(o->name, o->value, o->help);
    print_option("help", NULL, "show this text");
    print_option("version", NULL, "show the version");
    if (cli->epilog)
        printf("\n%s\n", cli->epilog);
}

static int usage_error(const Cli *cli, const char *problem, const char *what)
{
    fprintf(stderr, "%s: %s%s; see %s --help\n", cli->program, problem, what, cli->program);
    return EXIT_USAGE;
}

static const CliOption *find_option(const Cli *cli, const char *name, size_t len)
{
    for (const CliOption *o = cli->options; o && o->name; o++)
        if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

/* One --option at argv[*i]; moves *i over its value. -1 = go on, else an exit code. */
static int take_option(const Cli *cli, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    const CliOption *o = find_option(cli, name, equals ? (size_t) (equals - name) : strlen(name));

    if (str_equal(name, "help")) {
        print_help(cli);
        return EXIT_OK;
    }
    if (str_equal(name, "version")) {
        printf("%s %s\n", cli->program, SECBOX_VERSION);
        return EXIT_OK;
    }
    if (!o)
        return usage_error(cli, "unknown option ", argv[*i]);
    if (o->flag) {
        if (equals)
            return usage_error(cli, "no value belongs to ", argv[*i]);
        *o->flag = true;
        return -1;
    }
    if (!equals && *i + 1 >= argc)
        return usage_error(cli, "a value is missing after ", argv[*i]);
    *o->text = equals ? equals + 1 : argv[++*i];
    return -1;
}

/* Options are taken, positional arguments collected in args (room for argc + 1). */
static int split(const Cli *cli, int argc, char **argv, char **args, int *ret_n)
{
    bool only_positional = false;
    int n = 0;

    for (int i = 1; i < argc; i++) {
        int r = -1;

        if (only_positional || argv[i][0] != '-' || str_equal(argv[i], "-"))
            args[n++] = argv[i];
        else if (str_equal(argv[i], "--"))
            only_positional = true;
        else if (str_equal(argv[i], "-h"))
            return print_help(cli), EXIT_OK;
        else if (argv[i][1] == '-')
            r = take_option(cli, argc, argv, &i);
        else
            r = usage_error(cli, "unknown option ", argv[i]);
        if (r >= 0)
            return r;
    }
    args[n] = NULL;
    *ret_n = n;
    return -1;
}

int cli_parse(const Cli *cli, int argc, char **argv, char ***ret_args)
{
    char **args = calloc((size_t) argc + 1, sizeof(char *));
    int n = 0, r;

    if (!args)
        return EXIT_FAILED;
    r = split(cli, argc, argv, args, &n);
    if (r < 0 && n > cli->max_args)
        r = usage_error(cli, "unexpected argument ", args[cli->max_args]);
    if (r < 0 && ret_args)
        *ret_args = args;
    else
        free(args);
    return r;
}

/* How many words of `args` the verb's name takes, 0 when it is another verb. */
static int verb_words(const CliVerb *v, int n, char **args)
{
    const char *space = strchr(v->name, ' ');

    if (!space)
        return n > 0 && str_equal(args[0], v->name) ? 1 : 0;
    return n > 1 && strlen(args[0]) == (size_t) (space - v->name) &&
                   strncmp(args[0], v->name, (size_t) (space - v->name)) == 0 && str_equal(args[1], space + 1)
               ? 2
               : 0;
}

static const CliVerb *find_verb(const Cli *cli, int n, char **args, int *ret_words)
{
    const CliVerb *best = NULL;

    *ret_words = 0;
    for (const CliVerb *v = cli->verbs; v->name; v++) {
        int words = verb_words(v, n, args);

        if (words > *ret_words) {
            best = v;
            *ret_words = words;
        }
    }
    return best;
}

int cli_run(const Cli *cli, int argc, char **argv, void *userdata)
{
    _cleanup_(freep) char **args = calloc((size_t) argc + 1, sizeof(char *));
    const CliVerb *verb;
    int n = 0, words, r;

    if (!args)
        return EXIT_FAILED;
    r = split(cli, argc, argv, args, &n);
    if (r >= 0)
        return r;
    if (n == 0)
        return usage_error(cli, "say what to do", "");
    verb = find_verb(cli, n, args, &words);
    if (!verb)
        return usage_error(cli, "unknown verb ", args[0]);
    n -= words;
    if (n < verb->min_args || n > verb->max_args) {
        fprintf(stderr, "%s: usage: %s %s%s%s\n", cli->program, cli->program, verb->name,
                str_empty(verb->arguments) ? "" : " ", verb->arguments ? verb->arguments : "");
        return EXIT_USAGE;
    }
    return verb->run(n, args + words, userdata);
}

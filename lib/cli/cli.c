/* SPDX-License-Identifier: MIT */
/* Command lines from tables: what is not in the table is refused, and help cannot drift from it. */

#include "lib/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/cli/completion.h"

/* What a command line holds: words that are not options, and the options that were given. */
typedef struct Line {
    char **args;
    int n_args;
    const CliOption **options;
    int n_options;
    bool help;
} Line;

static void line_done(Line *line)
{
    free(line->args);
    free(line->options);
}

bool cli_names_option(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = names; p && *p; p += strspn(p, " ")) {
        size_t word = strcspn(p, " ");

        if (word == len && strncmp(p, name, len) == 0)
            return true;
        p += word;
    }
    return false;
}

static bool takes_option(const Cli *cli, const CliVerb *verb, const CliOption *option)
{
    return cli_names_option(cli->common, option->name) || cli_names_option(verb->options, option->name);
}

static void print_option(const char *name, const char *value, const char *help)
{
    char left[64];

    snprintf(left, sizeof(left), "--%s%s%s", name, value ? " " : "", value ? value : "");
    printf("  %-28s %s\n", left, help);
}

/* The verbs that take an option, behind its help; nothing for one that all of them take. */
static void print_verbs_of(const Cli *cli, const CliOption *option)
{
    const char *separator = "";

    if (!cli->verbs || cli_names_option(cli->common, option->name))
        return;
    printf("  %-28s with ", "");
    for (const CliVerb *v = cli->verbs; v->name; v++)
        if (takes_option(cli, v, option)) {
            printf("%s%s", separator, v->name);
            separator = ", ";
        }
    printf("\n");
}

static void print_options(const Cli *cli, const CliVerb *verb)
{
    printf("\nOptions:\n");
    for (const CliOption *o = cli->options; o && o->name; o++) {
        if (verb && !takes_option(cli, verb, o))
            continue;
        print_option(o->name, o->value, o->help);
        if (!verb)
            print_verbs_of(cli, o);
    }
    print_option("help", NULL, "show this text");
    print_option("version", NULL, "show the version");
}

static void print_verb_help(const Cli *cli, const CliVerb *verb)
{
    printf("Usage: %s %s [options]%s%s\n%s\n", cli->program, verb->name, str_empty(verb->arguments) ? "" : " ",
           verb->arguments ? verb->arguments : "", verb->help);
    print_options(cli, verb);
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
    print_options(cli, NULL);
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

/* Takes an option that is at argv[*i], with its value; moves *i over it. -1 = go on, else an exit code. */
static int take_value(const Cli *cli, const CliOption *o, const char *value, int argc, char **argv, int *i, Line *line)
{
    line->options[line->n_options++] = o;
    if (o->flag) {
        if (value)
            return usage_error(cli, "no value belongs to ", argv[*i]);
        *o->flag = true;
        return -1;
    }
    if (!value && *i + 1 >= argc)
        return usage_error(cli, "a value is missing after ", argv[*i]);
    if (!value)
        value = argv[++*i];
    if (o->list)
        return strv_add(o->list, value) < 0 ? EXIT_FAILED : -1;
    *o->text = value;
    return -1;
}

static const CliVerb *find_verb(const Cli *cli, int n, char **args, int *ret_words);

/* One of the form -f, or -fVALUE. */
static int take_letter(const Cli *cli, int argc, char **argv, int *i, Line *line)
{
    const char *value = argv[*i][2] ? argv[*i] + 2 : NULL;
    int words;
    const CliVerb *verb = cli->verbs ? find_verb(cli, line->n_args, line->args, &words) : NULL;

    for (const CliOption *o = cli->options; o && o->name; o++)
        if (o->letter && o->letter == argv[*i][1] && (!cli->verbs || (verb && takes_option(cli, verb, o))))
            return take_value(cli, o, value, argc, argv, i, line);
    return usage_error(cli, "unknown option ", argv[*i]);
}

/* One --option. */
static int take_option(const Cli *cli, int argc, char **argv, int *i, Line *line)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    const CliOption *o = find_option(cli, name, equals ? (size_t) (equals - name) : strlen(name));

    if (str_equal(name, "help")) {
        line->help = true;
        return -1;
    }
    if (str_equal(name, "version")) {
        printf("%s %s\n", cli->program, SECBOX_VERSION);
        return EXIT_OK;
    }
    if (!o)
        return usage_error(cli, "unknown option ", argv[*i]);
    return take_value(cli, o, equals ? equals + 1 : NULL, argc, argv, i, line);
}

static int split(const Cli *cli, int argc, char **argv, Line *line)
{
    bool only_positional = false;

    line->args = calloc((size_t) argc + 1, sizeof(char *));
    line->options = calloc((size_t) argc + 1, sizeof(CliOption *));
    if (!line->args || !line->options)
        return EXIT_FAILED;
    for (int i = 1; i < argc; i++) {
        int r = -1;

        if (only_positional || argv[i][0] != '-' || str_equal(argv[i], "-"))
            line->args[line->n_args++] = argv[i];
        else if (str_equal(argv[i], "--"))
            only_positional = true;
        else if (str_equal(argv[i], "-h"))
            line->help = true;
        else if (argv[i][1] == '-')
            r = take_option(cli, argc, argv, &i, line);
        else
            r = take_letter(cli, argc, argv, &i, line);
        if (r >= 0)
            return r;
    }
    return -1;
}

int cli_parse(const Cli *cli, int argc, char **argv, char ***ret_args)
{
    _cleanup_(line_done) Line line = {};
    int r = split(cli, argc, argv, &line);

    if (r >= 0)
        return r;
    if (line.help)
        return print_help(cli), EXIT_OK;
    if (line.n_args > cli->max_args)
        return usage_error(cli, "unexpected argument ", line.args[cli->max_args]);
    if (ret_args)
        *ret_args = TAKE_PTR(line.args);
    return -1;
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

/* Whether the verb takes what was given to it. -1 = yes, else an exit code. */
static int check_verb(const Cli *cli, const CliVerb *verb, const Line *line, int n_args)
{
    for (int i = 0; i < line->n_options; i++)
        if (!takes_option(cli, verb, line->options[i])) {
            fprintf(stderr, "%s: %s does not take --%s; see %s %s --help\n", cli->program, verb->name,
                    line->options[i]->name, cli->program, verb->name);
            return EXIT_USAGE;
        }
    if (n_args >= verb->min_args && n_args <= verb->max_args)
        return -1;
    fprintf(stderr, "%s: usage: %s %s%s%s\n", cli->program, cli->program, verb->name,
            str_empty(verb->arguments) ? "" : " ", verb->arguments ? verb->arguments : "");
    return EXIT_USAGE;
}

static int print_completion(const Cli *cli, const char *shell)
{
    _cleanup_(freep) char *script = completion_script(cli, shell);

    if (!script)
        return usage_error(cli, "completion is for bash, zsh or fish, not ", shell);
    return fputs(script, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_OK;
}

int cli_run(const Cli *cli, int argc, char **argv, void *userdata)
{
    _cleanup_(line_done) Line line = {};
    const CliVerb *verb;
    int words, r;

    r = split(cli, argc, argv, &line);
    if (r >= 0)
        return r;
    verb = find_verb(cli, line.n_args, line.args, &words);
    if (line.help)
        return verb ? print_verb_help(cli, verb) : print_help(cli), EXIT_OK;
    if (line.n_args == 0)
        return usage_error(cli, "say what to do", "");
    if (!verb)
        return usage_error(cli, "unknown verb ", line.args[0]);
    r = check_verb(cli, verb, &line, line.n_args - words);
    if (r >= 0)
        return r;
    if (!verb->run)
        return print_completion(cli, line.args[words]);
    return verb->run(line.n_args - words, line.args + words, userdata);
}

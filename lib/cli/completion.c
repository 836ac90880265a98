/* SPDX-License-Identifier: MIT */
#include "lib/cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"

/* Options that every program takes. */
static const CliOption general[] = {
    { .name = "help", .help = "show this text" },
    { .name = "version", .help = "show the version" },
    {},
};

static bool takes_file(const char *placeholder)
{
    return placeholder && (strstr(placeholder, "FILE") || strstr(placeholder, "DIR"));
}

/* "devices" of "devices add"; all of a verb of one word. */
static int first_word(const CliVerb *v)
{
    return (int) strcspn(v->name, " ");
}

static const char *second_word(const CliVerb *v)
{
    const char *space = strchr(v->name, ' ');

    return space ? space + 1 : NULL;
}

static bool is_of_group(const CliVerb *w, const CliVerb *v)
{
    return first_word(w) == first_word(v) && strncmp(w->name, v->name, (size_t) first_word(v)) == 0;
}

/* Whether no verb before it begins with the same word. */
static bool begins_group(const Cli *cli, const CliVerb *v)
{
    for (const CliVerb *w = cli->verbs; w < v; w++)
        if (is_of_group(w, v))
            return false;
    return true;
}

/* The program's name as shells take it for a function. */
static char *function_name(const Cli *cli)
{
    char *name = str_format("_%s", cli->program);

    for (char *p = name; p && *p; p++)
        if (*p == '-')
            *p = '_';
    return name;
}

/* In single quotes. fish has two escapes there, the others none. */
static void quote(FILE *out, const char *text, bool fish)
{
    fputc('\'', out);
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            fputs(fish ? "\\'" : "'\\''", out);
        else if (fish && *p == '\\')
            fputs("\\\\", out);
        else
            fputc(*p, out);
    }
    fputc('\'', out);
}

/* "--a|--b", of the options that have a value. */
static void print_valued(FILE *out, const Cli *cli, bool files)
{
    const char *separator = "";

    for (const CliOption *o = cli->options; o->name; o++)
        if (o->value && (!files || takes_file(o->value))) {
            fprintf(out, "%s--%s", separator, o->name);
            separator = "|";
        }
    if (!*separator)
        fputs("--", out);
}

/* Which verb the words before the cursor name, for bash and zsh alike: `first` and `second`. */
static void print_reader(FILE *out, const Cli *cli, const char *count, const char *word)
{
    fprintf(out,
            "    local first= second= skip= i\n"
            "    for ((i = %s; i < %s; i++)); do\n"
            "        if [[ -n $skip ]]; then skip=; continue; fi\n"
            "        case %s in\n"
            "            ",
            str_equal(count, "CURRENT") ? "2" : "1", count, word);
    print_valued(out, cli, false);
    fprintf(out,
            ") skip=1 ;;\n"
            "            -*) ;;\n"
            "            *) if [[ -z $first ]]; then first=%s; elif [[ -z $second ]]; then second=%s; fi ;;\n"
            "        esac\n"
            "    done\n",
            word, word);
}

typedef void (*print_item_t)(FILE *out, const char *name, const char *help);

static void print_options_of(FILE *out, const Cli *cli, const CliVerb *v, print_item_t print)
{
    char name[64];

    for (const CliOption *o = cli->options; o->name; o++)
        if (cli_names_option(cli->common, o->name) || cli_names_option(v->options, o->name)) {
            snprintf(name, sizeof(name), "--%s", o->name);
            print(out, name, o->help);
        }
    for (const CliOption *o = general; o->name; o++) {
        snprintf(name, sizeof(name), "--%s", o->name);
        print(out, name, o->help);
    }
}

/* The words that may stand behind "FIRST SECOND": `case` branches, those of options and then those of verbs. */
static void print_branches(FILE *out, const Cli *cli, print_item_t print)
{
    for (const CliVerb *v = cli->verbs; v->name; v++) {
        fprintf(out, "            '%s%s'*) items=(", v->name, second_word(v) ? "" : " ");
        print_options_of(out, cli, v, print);
        fputs(") ;;\n", out);
    }
    fputs("        esac\n    elif [[ -z $first ]]; then\n        items=(", out);
    for (const CliVerb *v = cli->verbs; v->name; v++)
        if (begins_group(cli, v)) {
            char name[64];

            snprintf(name, sizeof(name), "%.*s", first_word(v), v->name);
            print(out, name, second_word(v) ? "" : v->help);
        }
    fputs(")\n    else\n        case \"$first $second\" in\n", out);
    for (const CliVerb *v = cli->verbs; v->name; v++) {
        if (!second_word(v) || !begins_group(cli, v))
            continue;
        fprintf(out, "            '%.*s ') items=(", first_word(v), v->name);
        for (const CliVerb *w = v; w->name; w++)
            if (second_word(w) && is_of_group(w, v))
                print(out, second_word(w), w->help);
        fputs(") ;;\n", out);
    }
    fputs("            'completion '*) items=(", out);
    for (size_t i = 0; i < 3; i++)
        print(out, ((const char *const[]) { "bash", "zsh", "fish" })[i], "");
    fputs(") ;;\n", out);
    for (const CliVerb *v = cli->verbs; v->name; v++)
        if (takes_file(v->arguments))
            fprintf(out, "            '%s%s'*) files=1 ;;\n", v->name, second_word(v) ? "" : " ");
    fputs("        esac\n    fi\n", out);
}

static void print_word(FILE *out, const char *name, const char *help)
{
    (void) help;
    fprintf(out, "%s ", name);
}

static void print_bash(FILE *out, const Cli *cli, const char *function)
{
    fprintf(out, "# SPDX-License-Identifier: MIT\n%s()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} files= items=()\n",
            function);
    print_reader(out, cli, "COMP_CWORD", "${COMP_WORDS[i]}");
    fputs("    case ${COMP_WORDS[COMP_CWORD-1]} in\n        ", out);
    print_valued(out, cli, true);
    fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n        ", out);
    print_valued(out, cli, false);
    fputs(") COMPREPLY=(); return ;;\n    esac\n"
          "    if [[ $cur == -* ]]; then\n        case \"$first $second\" in\n",
          out);
    print_branches(out, cli, print_word);
    fprintf(out,
            "    mapfile -t COMPREPLY < <(compgen -W \"${items[*]}\" ${files:+-f} -- \"$cur\")\n"
            "}\ncomplete -o filenames -F %s %s\n",
            function, cli->program);
}

/* 'NAME:HELP' */
static void print_described(FILE *out, const char *name, const char *help)
{
    _cleanup_(freep) char *item = str_empty(help) ? strdup(name) : str_format("%s:%s", name, help);

    if (item)
        quote(out, item, false);
    fputc(' ', out);
}

static void print_zsh(FILE *out, const Cli *cli, const char *function)
{
    fprintf(out,
            "#compdef %s\n# SPDX-License-Identifier: MIT\n%s()\n{\n"
            "    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} files=\n    local -a line\n    "
            "line=(\"${words[@]}\")\n",
            cli->program, function);
    print_reader(out, cli, "CURRENT", "${line[i]}");
    fputs("    case $prev in\n        ", out);
    print_valued(out, cli, true);
    fputs(") _files; return ;;\n        ", out);
    print_valued(out, cli, false);
    fputs(") return 1 ;;\n    esac\n    local -a items\n"
          "    if [[ $cur == -* ]]; then\n        case \"$first $second\" in\n",
          out);
    print_branches(out, cli, print_described);
    fprintf(out,
            "    local none=1\n"
            "    [[ -n $files ]] && _files && none=0\n"
            "    (( $#items )) && _describe '%s' items && none=0\n"
            "    return none\n"
            "}\n%s \"$@\"\n",
            cli->program, function);
}

/* The condition under which a verb's words and options are offered. */
static void print_fish_condition(FILE *out, const CliVerb *v)
{
    fprintf(out, " -n '__fish_seen_subcommand_from %.*s", first_word(v), v->name);
    if (second_word(v))
        fprintf(out, "; and __fish_seen_subcommand_from %s", second_word(v));
    fputc('\'', out);
}

static void print_fish_option(FILE *out, const Cli *cli, const CliVerb *v, const CliOption *o)
{
    fprintf(out, "complete -c %s", cli->program);
    if (v)
        print_fish_condition(out, v);
    fprintf(out, " -l %s%s -d ", o->name, !o->value ? "" : takes_file(o->value) ? " -r -F" : " -x");
    quote(out, o->help, true);
    fputc('\n', out);
}

static void print_fish_group(FILE *out, const Cli *cli, const CliVerb *v)
{
    fprintf(out, "complete -c %s -n __fish_use_subcommand -a %.*s", cli->program, first_word(v), v->name);
    if (!second_word(v)) {
        fputs(" -d ", out);
        quote(out, v->help, true);
    }
    fputc('\n', out);
    for (const CliVerb *w = v; w->name; w++) {
        if (!second_word(w) || !is_of_group(w, v))
            continue;
        fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from",
                cli->program, first_word(v), v->name);
        for (const CliVerb *x = v; x->name; x++)
            if (second_word(x) && is_of_group(x, v))
                fprintf(out, " %s", second_word(x));
        fprintf(out, "' -a %s -d ", second_word(w));
        quote(out, w->help, true);
        fputc('\n', out);
    }
}

static void print_fish(FILE *out, const Cli *cli, const char *function)
{
    (void) function;
    fprintf(out, "# SPDX-License-Identifier: MIT\ncomplete -c %s -f\n", cli->program);
    for (const CliVerb *v = cli->verbs; v->name; v++) {
        if (begins_group(cli, v))
            print_fish_group(out, cli, v);
        for (const CliOption *o = cli->options; o->name; o++)
            if (cli_names_option(v->options, o->name))
                print_fish_option(out, cli, v, o);
        if (takes_file(v->arguments)) {
            fprintf(out, "complete -c %s", cli->program);
            print_fish_condition(out, v);
            fputs(" -F\n", out);
        }
    }
    fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n", cli->program);
    for (const CliOption *o = cli->options; o->name; o++)
        if (cli_names_option(cli->common, o->name))
            print_fish_option(out, cli, NULL, o);
    for (const CliOption *o = general; o->name; o++)
        print_fish_option(out, cli, NULL, o);
}

char *completion_script(const Cli *cli, const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *out, const Cli *cli, const char *function);
    } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
    _cleanup_(freep) char *function = function_name(cli), *text = NULL;
    size_t len = 0;
    FILE *out;

    for (size_t i = 0; function && i < ELEMENTSOF(shells); i++) {
        if (!str_equal(shell, shells[i].shell))
            continue;
        out = open_memstream(&text, &len);
        if (!out)
            return NULL;
        shells[i].print(out, cli, function);
        return fclose(out) == 0 ? TAKE_PTR(text) : NULL;
    }
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "compose/gather/project-files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/gather/gather-impl.h"
#include "env/dotenv.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define DESCRIPTION_MAX (64 * 1024)

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int read_file(const char *path, char **ret, size_t *ret_len, void *userdata, Error *err)
{
    _cleanup_(error_done) Error why = {};
    const char *first = userdata;
    int r = file_read(path, YAML_SIZE_MAX, ret, ret_len, &why);

    if (r >= 0)
        return 0;
    return error_set(err, r, str_equal(path, first) ? error_id(&why) : "gather.missing", "%s", error_message(&why, r));
}

static int look_at_file(const char *path, mode_t *ret_mode, void *userdata _unused_)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    *ret_mode = st.st_mode;
    return 0;
}

/* The first of them that is there. */
static int add_first(char ***files, const char *folder, const char *const *names)
{
    for (; *names; names++) {
        _cleanup_(freep) char *path = gather_join(folder, *names);
        struct stat st;

        if (!path)
            return -ENOMEM;
        if (stat(path, &st) == 0)
            return strv_add(files, path);
    }
    return 0;
}

static int find_usual(char ***files, const char *folder, Error *err)
{
    static const char *const names[] = { "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml",
                                         NULL };
    static const char *const overrides[] = { "compose.override.yaml", "compose.override.yml",
                                             "docker-compose.override.yml", "docker-compose.override.yaml", NULL };
    int r = add_first(files, folder, names);

    if (r == 0 && !*files)
        return error_set(err, ENOENT, "gather.missing",
                         "there is no compose.yaml, compose.yml or docker-compose.yml in %s: name the file",
                         *folder ? folder : "this folder");
    return r < 0 ? r : add_first(files, folder, overrides);
}

/* What the operator's env files say of gathering itself: a new string, NULL for nothing. One that is at fault is told when its
 * values are looked at. */
static char *setting(const ProjectFiles *p, const char *folder, const char *name)
{
    _cleanup_(freep) char *usual = p->env_files ? NULL : gather_join(folder, ".env");
    char *const paths[] = { usual, NULL };
    char *value = NULL;

    for (char *const *path = p->env_files ? p->env_files : paths; *path; path++) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(env_freep) EnvFile *env = NULL;
        size_t len;

        if (file_read(*path, ENV_FILE_SIZE_MAX, &text, &len, NULL) < 0 ||
            dotenv_parse(text, len, *path, &env, NULL) < 0 || !env_get(env, name))
            continue;
        free(value);
        value = strdup(env_get(env, name));
    }
    if (!str_empty(value))
        return value;
    free(value);
    return NULL;
}

/* The parts of a text between separators; empty ones are none. A path is from this folder. */
static int split(const char *text, const char *separator, const char *folder, char ***ret)
{
    int r = 0;

    while (r == 0 && text) {
        const char *end = *separator ? strstr(text, separator) : NULL;
        _cleanup_(freep) char *part = end ? strndup(text, (size_t) (end - text)) : strdup(text);
        _cleanup_(freep) char *path = part && folder && *part ? gather_join(folder, part) : NULL;

        if (!part || (folder && *part && !path))
            return -ENOMEM;
        r = *part ? strv_add(ret, path ? path : part) : 0;
        text = end ? end + strlen(separator) : NULL;
    }
    return r;
}

/* COMPOSE_FILE=A:B names the files. */
static int find_set_files(const ProjectFiles *p, const char *folder, char ***files)
{
    _cleanup_(freep) char *value = setting(p, folder, "COMPOSE_FILE");
    _cleanup_(freep) char *separator = value ? setting(p, folder, "COMPOSE_PATH_SEPARATOR") : NULL;

    return value ? split(value, separator ? separator : ":", folder, files) : 0;
}

/* COMPOSE_PROFILES=A,B chooses profiles where the command line does not. */
static int find_profiles(const ProjectFiles *p, const char *first, char ***ret)
{
    _cleanup_(freep) char *folder = gather_folder(first), *value = NULL;

    if (!folder)
        return -ENOMEM;
    value = p->profiles ? NULL : setting(p, folder, "COMPOSE_PROFILES");
    return value ? split(value, ",", NULL, ret) : 0;
}

static int find_files(const ProjectFiles *p, char ***files, Error *err)
{
    /* "./FILE" is FILE, in whose name no "." stands for a folder */
    _cleanup_(freep) char *typed = gather_join("", p->path ? p->path : "");
    bool is_file = p->path && !is_folder(p->path);
    int r = 0;

    if (!typed)
        return -ENOMEM;
    if (is_file && p->files)
        return error_set(err, EINVAL, "usage", "%s is no folder: name files by -f, or one file without", p->path);
    if (is_file)
        return strv_add(files, typed);
    if (!p->files) {
        r = find_set_files(p, typed, files);
        return r < 0 || *files ? r : find_usual(files, typed, err);
    }
    for (char *const *f = p->files; r == 0 && *f; f++) {
        _cleanup_(freep) char *path = gather_join(typed, *f);

        r = path ? strv_add(files, path) : -ENOMEM;
    }
    return r;
}

/* Whether the checks of a single file will say the same, with all else that is wrong with it. */
static bool is_own_fault(const Error *err, char *const *files)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error again = {};
    size_t len;

    if (files[1] || str_starts(error_id(err), "gather.") || (err->file && !str_equal(err->file, files[0])))
        return false;
    if (!str_starts(error_id(err), "yaml.") || file_read(files[0], YAML_SIZE_MAX, &text, &len, NULL) < 0)
        return true;
    /* they know no tags, and would stop at the first one */
    return yaml_parse(text, len, files[0], &root, &again) < 0 && str_equal(again.id, err->id) &&
           again.line == err->line;
}

/* Nothing but what is wrong. */
static void keep_faults(Gathered *g)
{
    ErrorList faults = g->faults;

    g->faults = (ErrorList) {};
    gathered_done(g);
    g->faults = faults;
}

int project_gather(const ProjectFiles *p, Gathered *ret, Error *err)
{
    _cleanup_(strv_freep) char **files = NULL, **profiles = NULL;
    _cleanup_(error_done) Error why = {};
    int r = find_files(p, &files, err);

    if (r == 0)
        r = find_profiles(p, files[0], &profiles);
    if (r < 0)
        return error_from_errno(err, r, "cannot look for compose files");
    const GatherOptions options = { .files = files,
                                    .profiles = p->profiles ? p->profiles : profiles,
                                    .env_files = p->env_files };
    const GatherSource source = { .read = read_file, .look = look_at_file, .userdata = files[0] };
    r = compose_gather(&options, &source, ret, &why);
    if (r >= 0)
        return 0;
    if (is_own_fault(&why, files)) {
        gathered_done(ret);
        ret->is_same = true;
        return file_read(files[0], YAML_SIZE_MAX, &ret->text, &ret->len, err);
    }
    keep_faults(ret);
    if (err && !err->id) {
        *err = why;
        why = (Error) {};
    }
    return r;
}

static int describe(Buf *b, const Gathered *g, bool secret, const char *before, const char *behind)
{
    const char *separator = before;

    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i].is_secret == secret) {
            if (buf_printf(b, "%s%s (%s)", separator, g->values[i].name, g->values[i].file) < 0)
                return -EMSGSIZE;
            separator = ", ";
        }
    return separator == before ? 0 : buf_puts(b, behind);
}

char *project_describe_values(const Gathered *g)
{
    Buf b = BUF_INIT(DESCRIPTION_MAX);
    int r = describe(&b, g, false, "values from here, where the box's secbox.env has none: ", "\n");

    if (r >= 0)
        r = describe(
            &b, g, true,
            "not sent, since their names or values are those of secrets; the box's secbox.env has to have them: ",
            "\n");
    char *text = r >= 0 ? strdup(b.data ? b.data : "") : NULL;
    buf_done(&b);
    return text;
}

char *project_name(const ProjectFiles *p, const Gathered *g)
{
    _cleanup_(strv_freep) char **files = NULL;
    _cleanup_(freep) char *all = NULL;

    if (find_files(p, &files, NULL) < 0)
        return strdup("compose file");
    all = strv_join(files, "+");
    return g->is_same || !all ? TAKE_PTR(all) : str_format("%s (as `config` prints it)", all);
}

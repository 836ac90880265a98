/* SPDX-License-Identifier: MIT */
#include "compose/gather/project-files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/gather/gather-impl.h"
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
    if (!p->files)
        return find_usual(files, typed, err);
    for (char *const *f = p->files; r == 0 && *f; f++) {
        _cleanup_(freep) char *path = gather_join(typed, *f);

        r = path ? strv_add(files, path) : -ENOMEM;
    }
    return r;
}

/* Its own faults are told by the checks that follow, all at once. */
static bool is_own_fault(const Error *err, char *const *files)
{
    return !files[1] && !str_starts(error_id(err), "gather.") && (!err->file || str_equal(err->file, files[0]));
}

int project_gather(const ProjectFiles *p, Gathered *ret, Error *err)
{
    _cleanup_(strv_freep) char **files = NULL;
    _cleanup_(error_done) Error why = {};
    int r = find_files(p, &files, err);

    if (r < 0)
        return error_from_errno(err, r, "cannot look for compose files");
    const GatherOptions options = { .files = files, .profiles = p->profiles, .env_files = p->env_files };
    const GatherSource source = { .read = read_file, .look = look_at_file, .userdata = files[0] };
    r = compose_gather(&options, &source, ret, &why);
    if (r >= 0)
        return 0;
    if (is_own_fault(&why, files)) {
        gathered_done(ret);
        ret->is_same = true;
        return file_read(files[0], YAML_SIZE_MAX, &ret->text, &ret->len, err);
    }
    gathered_done(ret);
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

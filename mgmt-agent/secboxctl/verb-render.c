/* SPDX-License-Identifier: MIT */
/* render: the variable-free file, by the box's own code, on any machine. */
#include <errno.h>
#include <string.h>

#include "compose/compose.h"
#include "compose/engine-check.h"
#include "compose/gather/travel.h"
#include "env/dotenv.h"
#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "mgmt-agent/host/data-folder.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define PROJECT_DEFAULT "secbox"

/* A value that still holds "${" reached containers once, and cost a box; the agent refuses it, so does this. */
static int check_expanded(const EnvFile *env, const char *file, Error *err)
{
    for (size_t i = 0; i < env_size(env); i++)
        if (strstr(env_value_at(env, i), "${"))
            return error_set_at(err, EINVAL, "env.unexpanded", file, env_line_at(env, i), env_key_at(env, i),
                                "the value of %s holds a literal \"${\": write the value itself", env_key_at(env, i));
    return 0;
}

typedef struct Render {
    const EnvFile *env;
    const char *base_dir;
    const Gathered *beside; /* what lies beside the file, and goes along when it is applied; NULL: nothing does */
} Render;

static const char *lookup_env(const char *key, void *userdata)
{
    const Render *c = userdata;

    return env_get(c->env, key);
}

static const char *source_beside(const Render *c, const char *path)
{
    for (size_t i = 0; c->beside && i < c->beside->n_files; i++)
        if (str_equal(c->beside->files[i].path, path))
            return c->beside->files[i].source;
    return NULL;
}

/* The box puts it into a folder that is named by its content, which is left out here. */
static int find_file(const char *path, bool read_only, char **ret, void *userdata, Error *err)
{
    const Render *c = userdata;
    const ComposeFiles files = project_files(c->beside);
    _cleanup_(freep) char *found = NULL;
    int r = files.find(path, read_only, &found, files.userdata, err);

    if (r < 0 || !found)
        return r;
    *ret = str_format(FILES_DIR "%s", found);
    return *ret ? 0 : -ENOMEM;
}

/* What the agent would read; whether it may stand where it is, only the agent asks. */
static int read_env_file(const char *path, char **ret, void *userdata, Error *err)
{
    const Render *c = userdata;
    _cleanup_(freep) char *full = NULL;

    if (str_equal(path, SECBOX_ENV_PATH)) {
        *ret = dotenv_print(c->env);
        return *ret ? 0 : -ENOMEM;
    }
    if (*path == '/')
        return error_set(err, EPERM, "compose.env-file",
                         "the env_file %s cannot be used: name " SECBOX_ENV_PATH ", or a file in " VOLUMES_DIR, path);
    full = source_beside(c, path) ? strdup(source_beside(c, path)) : str_format("%s/%s", c->base_dir, path);
    return full ? file_read(full, ENV_FILE_SIZE_MAX, ret, NULL, err) : -ENOMEM;
}

/* As the box answers, but for an entry in its policy.json. */
static bool is_nested(const char *service, const char *nested, const char *direct, void *userdata)
{
    (void) service;
    (void) userdata;
    return data_folder_is_nested(nested, direct, false);
}

/* What the box's engine cannot be told is refused here as it is by the box. */
static int check_engine(const ComposeProject *project, const char *path, Error *err)
{
    _cleanup_(freep) char *env_path = path_in_root(AGENT_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;
    bool on_box = env_path && env_load(env_path, &env, NULL) >= 0;
    int r = engine_check_all(on_box ? env_get(env, "COMPOSE_ENGINE") : NULL, project, err);

    if (r < 0 && !err->file)
        err->file = strdup(path);
    return r;
}

static int render_text(const Secboxctl *ctl, const Gathered *g, const char *name, char **ret, Error *err)
{
    _cleanup_(freep) char *env_path = ctl->env_files ? strdup(ctl->env_files[0]) : path_in_root(SECBOX_ENV_PATH);
    _cleanup_(freep) char *base_dir = path_in_root(STATE_DIR "/volumes");
    _cleanup_(compose_file_freep) ComposeFile *file = NULL;
    _cleanup_(compose_project_freep) ComposeProject *project = NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (!env_path || !base_dir)
        return error_from_errno(err, -ENOMEM, "render %s", name);
    int r = compose_parse(g->text, g->len, name, &file, err);
    if (r >= 0)
        r = env_load_kind(ENV_SECBOX, env_path, &env, err);
    if (r >= 0)
        r = check_expanded(env, env_path, err);
    if (r < 0)
        return r;

    Render context = { env, base_dir, ctl->no_files ? NULL : g };
    const ComposeResolveOptions options = {
        .project = ctl->project ? ctl->project : PROJECT_DEFAULT,
        .base_dir = base_dir, /* relative bind sources are the box's, not this machine's */
        .lookup = lookup_env,
        .read_env_file = read_env_file,
        .find_file = ctl->no_files ? NULL : find_file,
        .files = &context,
        .is_nested = is_nested,
        .userdata = &context,
    };
    r = compose_resolve(file, &options, &project, err);
    if (r >= 0)
        r = check_engine(project, name, err);
    if (r < 0)
        return r;
    *ret = compose_print(project);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "render %s", name);
}

static int render(const Secboxctl *ctl, const char *path, char **ret, Error *err)
{
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(freep) char *name = NULL;

    if (ctl->env_files && ctl->env_files[1])
        return error_set(err, EINVAL, "usage", "render takes one --env-file, which stands for the box's secbox.env");
    int r = secboxctl_gather(ctl, path, NULL, &gathered, &name, err);
    if (r < 0)
        return r;
    r = render_text(ctl, &gathered, name, ret, err);
    if (r < 0 && str_equal(err->file, name))
        gathered_locate(&gathered, err);
    return r;
}

int verb_render(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    _cleanup_(secret_freep) char *text = NULL;

    int r = render(ctl, argc > 0 ? argv[0] : NULL, &text, &err);
    if (r < 0)
        return report_failure(PROGRAM, ctl->json, &err, r,
                              str_equal(error_id(&err), "usage") ? EXIT_USAGE : EXIT_FAILED);
    if (!ctl->json)
        return report_text(TAKE_PTR(text), EXIT_OK);

    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    if (!document || json_add_string(document, "compose", text) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return report_json(document, EXIT_OK);
}

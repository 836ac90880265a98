/* SPDX-License-Identifier: MIT */
/* render: the variable-free file, by the box's own code, on any machine. */
#include <errno.h>
#include <string.h>

#include "compose/compose.h"
#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define PROJECT_DEFAULT "secbox"

static const char *lookup_env(const char *key, void *userdata)
{
    return env_get(userdata, key);
}

/* A value that still holds "${" reached containers once, and cost a box; the agent refuses it, so does this. */
static int check_expanded(const EnvFile *env, const char *file, Error *err)
{
    for (size_t i = 0; i < env_size(env); i++)
        if (strstr(env_value_at(env, i), "${"))
            return error_set_at(err, EINVAL, "env.unexpanded", file, env_line_at(env, i), env_key_at(env, i),
                                "the value of %s holds a literal \"${\": write the value itself", env_key_at(env, i));
    return 0;
}

static int render(const Secboxctl *ctl, const char *path, char **ret, Error *err)
{
    _cleanup_(freep) char *env_path = ctl->env_file ? strdup(ctl->env_file) : path_in_root(SECBOX_ENV_PATH);
    _cleanup_(freep) char *base_dir = path_in_root(STATE_DIR "/volumes"), *text = NULL;
    _cleanup_(compose_file_freep) ComposeFile *file = NULL;
    _cleanup_(compose_project_freep) ComposeProject *project = NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;
    size_t len;

    if (!env_path || !base_dir)
        return error_from_errno(err, -ENOMEM, "render %s", path);
    int r = file_read(path, YAML_SIZE_MAX, &text, &len, err);
    if (r >= 0)
        r = compose_parse(text, len, path, &file, err);
    if (r >= 0)
        r = env_load_kind(ENV_SECBOX, env_path, &env, err);
    if (r >= 0)
        r = check_expanded(env, env_path, err);
    if (r < 0)
        return r;

    const ComposeResolveOptions options = {
        .project = ctl->project ? ctl->project : PROJECT_DEFAULT,
        .base_dir = base_dir, /* relative bind sources are the box's, not this machine's */
        .lookup = lookup_env,
        .userdata = env,
    };
    r = compose_resolve(file, &options, &project, err);
    if (r < 0)
        return r;
    *ret = compose_print(project);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "render %s", path);
}

int verb_render(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    _cleanup_(secret_freep) char *text = NULL;

    (void) argc;
    int r = render(ctl, argv[0], &text, &err);
    if (r < 0)
        return report_failure(PROGRAM, ctl->json, &err, r, EXIT_FAILED);
    if (!ctl->json)
        return report_text(TAKE_PTR(text), EXIT_OK);

    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    if (!document || json_add_string(document, "compose", text) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return report_json(document, EXIT_OK);
}

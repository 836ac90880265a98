/* SPDX-License-Identifier: MIT */
/* Prints what podman-compose would get for a project described as in compose-project.h: `render-tool FILE
 * [ENV_DIR]`. With ENV_DIR every service's environment is written to ENV_DIR/SERVICE.env and named in the
 * file, unless ENV_DIR begins with "-": then it is only written. tests/integration runs the result with the
 * real podman-compose. ENV_DIR/SERVICE.args gets the options for podman run, one a line. */
#include "tests/unit/compose-project.h"

#include <stdio.h>

#include "compose/render/render.h"
#include "compose/render/run-args.h"
#include "lib/base/paths.h"

static const char *env_dir;
static char env_path[4096];

static const char *image_of(const char *service, void *userdata)
{
    return compose_service_find(userdata, service)->image;
}

static const char *env_file_of(const char *service, void *userdata _unused_)
{
    if (!env_dir || env_dir[0] == '-')
        return NULL;
    snprintf(env_path, sizeof(env_path), "%s/%s.env", env_dir, service);
    return env_path;
}

static int report(const Error *err, int r)
{
    fprintf(stderr, "%s: %s: %s\n", error_id(err), err->key ? err->key : "", error_message(err, r));
    return 1;
}

static int write_env(const ComposeService *s)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(freep) char *path = str_format("%s/%s.env", env_dir + (env_dir[0] == '-'), s->name);
    FILE *f;
    int r = compose_render_env(s, &text, &err);

    if (r < 0)
        return report(&err, r);
    f = path ? fopen(path, "we") : NULL;
    if (!f)
        return 1;
    fputs(text, f);
    return fclose(f) == 0 ? 0 : 1;
}

static int write_args(const ComposeService *s)
{
    _cleanup_(strv_freep) char **args = NULL;
    _cleanup_(freep) char *path = str_format("%s/%s.args", env_dir + (env_dir[0] == '-'), s->name);
    FILE *f = path && compose_render_run_args(s, &args) == 0 ? fopen(path, "we") : NULL;

    if (!f)
        return 1;
    for (size_t i = 0; args && args[i]; i++)
        fprintf(f, "%s\n", args[i]);
    return fclose(f) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    _cleanup_(freep) char *yaml = NULL;
    static char text[1024 * 1024];
    FILE *f = argc > 1 ? fopen(argv[1], "re") : NULL;
    RenderOptions options = { .version = "42", .image = image_of, .env_file = env_file_of };
    int r;

    if (!f)
        return 2;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    env_dir = argc > 2 ? argv[2] : NULL;
    options.run_args = env_dir != NULL;
    p = project_from_json(text);
    options.userdata = p;
    r = compose_render(p, &options, &yaml, &err);
    if (r < 0)
        return report(&err, r);
    fputs(yaml, stdout);
    for (size_t i = 0; env_dir && i < p->n_services; i++)
        if (write_env(&p->services[i]) != 0 || write_args(&p->services[i]) != 0)
            return 1;
    return 0;
}

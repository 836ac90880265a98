/* SPDX-License-Identifier: MIT */
/* The file that podman-compose gets: no variable, no secret, names and images pinned. */
#pragma once

#include "compose/model/project.h"

typedef struct RenderOptions {
    const char *const *services; /* only these (NULL-terminated); NULL = all */
    const char *version;         /* snapshot version, for the label */
    /* Image to run: an id or name@digest; borrowed. */
    const char *(*image)(const char *service, void *userdata);
    /* Absolute path of the service's 0600 env file, put under `env_file:`; NULL result = leave out (the
     * driver passes it by another way). */
    const char *(*env_file)(const char *service, void *userdata);
    /* The host path to mount for a source; borrowed. NULL = the source itself. */
    const char *(*bind)(const char *source, void *userdata);
    bool partly;   /* what podman-compose cannot be told is left out: for a file that makes no container */
    bool run_args; /* podman also gets compose_render_run_args(): what stands there is left out */
    void *userdata;
} RenderOptions;

/* The compose file as text (new string), the same for podman-compose 1.0.3 to 1.3: `depends_on`, `profiles`,
 * `pull_policy` and `environment` are left out (the agent takes care of order, pulling and variables), names of
 * containers, networks and volumes are written out, lists are quoted strings, every `$` is written `$$`, a tmpfs is
 * noexec unless it says exec, a CMD health check is a quoted shell line (the image needs /bin/sh) unless it goes by
 * run_args, our labels are there. Only networks and volumes that the services use are declared. The same input always
 * gives the same text. Errors: render.unsupported (with the key: 1.0.3 would silently drop it), render.no-image,
 * render.no-service. */
int compose_render(const ComposeProject *p, const RenderOptions *options, char **ret, Error *err) _must_check_;

/* KEY=value lines of one service for podman's --env-file; values arrive as they are, also empty ones and
 * those with '#',
 * '=', quotes and spaces at their ends. New string, secret. Errors: render.multi-line-value,
 * render.value-too-long, render.bad-environment-key, render.bad-environment-value, render.too-large. */
int compose_render_env(const ComposeService *s, char **ret, Error *err) _must_check_;

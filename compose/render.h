/* SPDX-License-Identifier: MIT */
/* The file that podman-compose gets: no variable, no secret, names and images pinned. */
#pragma once

#include "compose/compose.h"

typedef struct RenderOptions {
    const char *const *services;  /* only these (NULL-terminated); NULL = all */
    const char *version;          /* snapshot version, for the label */
    /* Image to run: an id or name@digest; borrowed. */
    const char *(*image)(const char *service, void *userdata);
    /* Absolute path of the service's 0600 env file, put under `env_file:`; NULL result = leave out (the driver passes it
     * by another way). */
    const char *(*env_file)(const char *service, void *userdata);
    void *userdata;
} RenderOptions;

/* The compose file as text (new string): `depends_on`, `profiles` and `environment` are left out
 * (`healthcheck` stays: the agent runs it through podman itself), ports are quoted strings, every `$` is written `$$`, container_name and our labels are
 * there. Nothing in it can change between two calls with the same input. */
int compose_render(const ComposeProject *p, const RenderOptions *options, char **ret, Error *err) _must_check_;

/* KEY=value lines of one service for podman's --env-file; a value with a newline is render.multi-line-value. New string,
 * secret. */
int compose_render_env(const ComposeService *s, char **ret, Error *err) _must_check_;

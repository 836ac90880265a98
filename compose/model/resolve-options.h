/* SPDX-License-Identifier: MIT */
/* What it takes to resolve a file: the names, values and files that the file itself does not hold. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/* Looks up a variable: its value, "" when it is set and empty, NULL when it is unset. */
typedef const char *(*compose_lookup_t)(const char *key, void *userdata);

/* Where a file that came with the compose file is on this box; NULL in *ret when none did under that path, which is clean and
 * below base_dir. Of folders only those that are mounted `read_only`: others hold data. */
typedef int (*compose_find_file_t)(const char *path, bool read_only, char **ret, void *userdata, Error *err);

/* The files that come with a compose file, as far as somebody knows who is not the box. */
typedef struct ComposeFiles {
    compose_find_file_t find; /* *ret is any path */
    void *userdata;
} ComposeFiles;

typedef struct ComposeResolveOptions {
    const char *project;  /* project name; the file's own `name:` changes nothing */
    const char *base_dir; /* relative bind sources and env_file paths are below it; they may not leave it */
    /* Whether "./a/b", mounted by that service, is base_dir/a/b (`nested`) on this box, and not base_dir/a+b (`direct`), as it is
     * where this is NULL. */
    bool (*is_nested)(const char *service, const char *nested, const char *direct, void *userdata);
    compose_lookup_t lookup;
    void *userdata;
    /* Text of a service's env_file; new string in *ret. The path is clean: relative to base_dir and below it when the
     * file has a relative one, else absolute, for the callback to judge. NULL: env_file is refused. */
    int (*read_env_file)(const char *path, char **ret, void *userdata, Error *err);
    compose_find_file_t find_file; /* NULL: no files come along, or it is not known which do */
    void *files;                   /* its userdata */
} ComposeResolveOptions;

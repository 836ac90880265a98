/* SPDX-License-Identifier: MIT */
/* What it takes to resolve a file: the names, values and files that the file itself does not hold. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

/* Looks up a variable: its value, "" when it is set and empty, NULL when it is unset. */
typedef const char *(*compose_lookup_t)(const char *key, void *userdata);

/* Where a file that came with the compose file is on this box; NULL in *ret when none did under that path, which is clean and
 * below base_dir. Of folders only those that are mounted `read_only`: others hold data. */
typedef int (*compose_find_file_t)(const char *path, bool read_only, char **ret, void *userdata, Error *err);

/* Whether a file came along under that path. */
typedef bool (*compose_has_file_t)(const char *path, void *userdata);

/* A file that a service mounts for reading and that is not simply one that came along: a config or a secret whose text stands in
 * the compose file or in a variable, or one that came along and is to have rights of its own. */
typedef struct ComposeMadeFile {
    const char *service, *name; /* the name is that of the config or secret */
    const char *content;        /* NULL: it is that of the file that came along as `path` */
    const char *path;           /* clean, and below base_dir */
    bool is_secret;
    int64_t uid, gid; /* in the container; -1: not said */
    int64_t mode;     /* without rights to write; -1: not said */
} ComposeMadeFile;

/* Where such a file is going to be on this box; *ret is a new string. Nothing is written: what is resolved is not run yet. */
typedef int (*compose_make_file_t)(const ComposeMadeFile *f, char **ret, void *userdata, Error *err);

/* The files that come with a compose file, as far as somebody knows who is not the box. */
typedef struct ComposeFiles {
    compose_find_file_t find; /* *ret is any path */
    compose_has_file_t has;
    void *userdata;
} ComposeFiles;

typedef struct ComposeResolveOptions {
    const char *project; /* project name; the file's own `name:` changes nothing */
    /* Stands before the names of folders for data, so that those of several projects differ, and each is one that is moved
     * ("./a" is base_dir/PREFIXa); NULL: nothing does */
    const char *data_prefix;
    const char *base_dir; /* relative bind sources and env_file paths are below it; they may not leave it */
    /* Whether "./a/b", mounted by that service, is base_dir/a/b (`nested`) on this box, and not base_dir/a+b (`direct`), as it is
     * where this is NULL. */
    bool (*is_nested)(const char *service, const char *nested, const char *direct, void *userdata);
    /* The box has run this file, and goes back to it or goes on with it: values that earlier versions took, and that are refused
     * since because nobody means them, are taken as they were. What is refused for the box's safety is so all the same. */
    bool ran_before;
    compose_lookup_t lookup;
    void *userdata;
    /* Text of a service's env_file; new string in *ret. The path is clean: relative to base_dir and below it when the
     * file has a relative one, else absolute, for the callback to judge. NULL: env_file is refused. */
    int (*read_env_file)(const char *path, char **ret, void *userdata, Error *err);
    compose_find_file_t find_file; /* NULL: no files come along, or it is not known which do */
    compose_has_file_t
        has_file; /* for what must not be put where containers mount it, as find_file may do; NULL likewise */
    compose_make_file_t make_file; /* NULL: any path below FILES_DIR stands for the file */
    void *files;                   /* the userdata of these three */
} ComposeResolveOptions;

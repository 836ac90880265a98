/* SPDX-License-Identifier: MIT */
/* What people keep in several files, as the one compose file that a box gets: files over files, `include`, `extends`, chosen
 * profiles, and the values of .env files as defaults. Pure: files are read by the caller. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/error-list.h"

typedef struct GatherSource {
    /* A file's text, by its path below or beside the project's folder; -ENOENT when there is none. */
    int (*read)(const char *path, char **ret, size_t *ret_len, void *userdata, Error *err);
    /* What is there, as stat() tells it: 0 or a negative errno. NULL: no files beside the text are looked for. */
    int (*look)(const char *path, mode_t *ret_mode, void *userdata);
    void *userdata;
} GatherSource;

typedef struct GatherOptions {
    char *const *files;     /* NULL-terminated; the first one's folder is the project's */
    char *const *profiles;  /* those that are chosen; NULL for none, * is all */
    char *const *env_files; /* NULL: .env beside the first file, if it is there */
} GatherOptions;

/* A variable of the operator's files. */
typedef struct GatheredValue {
    char *name, *file;
    bool is_secret; /* by its name or its shape: its value does not travel */
} GatheredValue;

typedef enum GatheredKind {
    GATHERED_ENV_FILE, /* also when a service mounts it */
    GATHERED_CONFIG,
    GATHERED_SECRET, /* also when it is named as something else besides */
    GATHERED_FILE,   /* a service mounts it */
    GATHERED_FOLDER, /* services mount it, and all of them read-only */
} GatheredKind;

/* A file or folder that the text names beside itself, and that is on this machine. */
typedef struct GatheredFile {
    char *path;   /* from the project's folder, which it is in, without "." and ".." */
    char *source; /* where it is here; it may be a link */
    GatheredKind kind;
    bool is_shared; /* a secret's, and something else besides */
    mode_t mode;    /* the permissions that it has here */
} GatheredFile;

/* Where a line of the text is from. */
typedef struct GatheredLine {
    const char *file; /* NULL: not known; it is one of the sources */
    unsigned line;
} GatheredLine;

typedef struct Gathered {
    char *text;   /* the one file */
    size_t len;   /* of the text, in which a NUL byte may stand when it is the same */
    bool is_same; /* as the only file that there was, to the byte */
    GatheredValue *values;
    size_t n_values; /* that the file uses */
    GatheredFile *files;
    size_t n_files; /* no path twice, and of what is in a folder of the list only secrets and env files */
    char **sources; /* the compose files that were read */
    GatheredLine *lines;
    size_t n_lines;   /* none when the text is the same */
    ErrorList faults; /* when it fails: all that is wrong in any of the files */
} Gathered;

void gathered_done(Gathered *g);

/* An error in a line of the text becomes one in the line that it is from, where that is known. */
void gathered_locate(const Gathered *g, Error *e);
void gathered_locate_all(const Gathered *g, ErrorList *list);
/* The same of what a gateway or a box says of the text, which they call by a name of their own; errors of other files stay. */
void gathered_locate_answer(const Gathered *g, Error *e);
/* The same of an error in a message; NULL is none. Without memory it stays as it is. */
void gathered_locate_json(const Gathered *g, cJSON *error);
/* A box's plan says of a variable that a default is taken; for one that an env file here gave, the file is said instead. */
void gathered_name_values(const Gathered *g, cJSON *plan);

/* The first of the faults is the error. Errors are those of the YAML parser, and gather.missing, gather.include, gather.extends,
 * gather.cycle, gather.conflict, gather.braces, gather.env, gather.folder, all with file and line where there are any. */
int compose_gather(const GatherOptions *options, const GatherSource *source, Gathered *ret, Error *err) _must_check_;

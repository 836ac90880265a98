/* SPDX-License-Identifier: MIT */
/* compose_gather() of what is typed: a file, a folder, or files by -f. */
#pragma once

#include "compose/gather/gather.h"

typedef struct ProjectFiles {
    const char *path; /* a file, or a folder; NULL is the present one */
    char *const
        *files; /* -f: sought in the folder; NULL: COMPOSE_FILE, or compose.yaml and its like, with its override */
    char *const *profiles;  /* NULL: COMPOSE_PROFILES */
    char *const *env_files; /* NULL: .env */
} ProjectFiles;

/* Errors as of compose_gather(); of a single file also what reading it says (file.*), and "usage" for files beside a file. A
 * single file in which something is wrong comes as it is, for the checks of compose files to say all that is. Of what is wrong in
 * several files, *ret has the whole list also when it fails. */
int project_gather(const ProjectFiles *p, Gathered *ret, Error *err) _must_check_;

/* Lines that say which values of env files are used, and which do not travel; "" for none. A new string or NULL. */
char *project_describe_values(const Gathered *g);

/* What errors call the text: the only file, or the files that it was made of. A new string or NULL. */
char *project_name(const ProjectFiles *p, const Gathered *g);

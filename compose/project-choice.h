/* SPDX-License-Identifier: MIT */
/* Which project a push is about: what is said, else the file's own `name:`, as docker compose has it. But files that have a
 * `name:` run as the own project of boxes in the field, from when that counted for nothing; they stay where they are. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

typedef enum ProjectVerdict {
    PROJECT_CHOICE_SAID,    /* the one that is said */
    PROJECT_CHOICE_OWN,     /* the box's own: the file names none, or that one */
    PROJECT_CHOICE_BY_FILE, /* the one that the file names */
    PROJECT_CHOICE_STAYS,   /* the box's own, which this file is already; to be told to whoever pushes */
    PROJECT_CHOICE_UNCLEAR, /* it is both: somebody has to say which */
} ProjectVerdict;

typedef struct ProjectFacts {
    const char *said;      /* --project, or the member "project"; NULL: nothing */
    const char *file_name; /* project_file_name() */
    bool has_project;      /* the box has a project of the file's name beside its own */
    bool own_has_name;     /* the file that the box's own project runs has the same name */
} ProjectFacts;

ProjectVerdict project_choose(const ProjectFacts *facts);

/* The `name:` of a compose file, a new string; NULL when it has none. Its variables have the defaults that the file gives them,
 * since the name has to be known before the box is asked. project.bad-name with file and line, for one without a default, too;
 * what compose_parse() fails with. */
int project_file_name(const char *text, size_t len, const char *file, char **ret, Error *err) _must_check_;

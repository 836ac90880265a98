/* SPDX-License-Identifier: MIT */
/* Which compose project the files of AGENT_STATE_DIR are of. A box has its own one (`secbox`), and may have others beside it, each
 * with a version, history and snapshots of its own below projects/NAME; what belongs to the box as a whole (the journal, floors
 * of orders, what is watched) is there once. A process looks at one project at a time: its own, unless another one is chosen. */
#pragma once

#include <stdbool.h>

#include "lib/data/project-name.h"

/* The name of the box's own project, once, early; PROJECT_OWN_DEFAULT unless it is said. */
void project_set_own(const char *name);
const char *project_own(void);

/* The one that is looked at. */
const char *project_selected(void);
bool project_is_own(void);

/* Looks at another one for the block that the variable stands in: _cleanup_(project_leave) ProjectScope p = project_enter(NAME).
 * NULL and a name that project_name_is_good() refuses are the box's own. */
typedef struct ProjectScope {
    char before[PROJECT_NAME_MAX + 1];
} ProjectScope;
ProjectScope project_enter(const char *name);
void project_leave(ProjectScope *s);

/* Where this file of the state is, with the prefix of --root: a new string, or NULL when out of memory. */
char *project_path(const char *file);
/* Whether the box may have the selected one: it has it already, or fewer than PROJECTS_MAX. project.too-many */
int project_check_room(Error *err) _must_check_;
/* The folder for it, where there is none yet, and room for it. One that was removed is there again. */
int project_make_folder(Error *err) _must_check_;
/* What the owner of the box allows it: policy.json, or policy.d/NAME.json. As project_path(). */
char *project_policy_path(void);

/* The others, by name, but those that were removed. *ret may be NULL for none. Negative: which there are is not known, and nothing
 * may be taken for one that nobody needs. */
int project_list(char ***ret) _must_check_;
/* With those that were removed: their history, and the floor of their versions, are kept for a while. */
int project_list_all(char ***ret) _must_check_;
/* Forgets those that were removed long ago, or before many others. */
void project_sweep_removed(void);
/* Whether somebody has stopped the selected one as a whole: it stays so over a boot, until it is started or pushed. */
bool project_is_stopped(void);
int project_note_stopped(bool stopped, Error *err) _must_check_;
/* Forgets what the selected one runs and could go back to; its history and the floor of its versions stay. From then on it is
 * removed. */
int project_forget_deployed(Error *err) _must_check_;

bool project_is_removed(void);

/* Whether it is the box's own, or one of project_list_all(). */
bool project_is_known(const char *name);

/* SPDX-License-Identifier: MIT */
/* The way to a bind source, component by component and without following a link: whoever could change it could have podman
 * mount something else at its next start. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "mgmt-agent/host/podman-user.h"

typedef struct BindWalk {
    int parent;       /* the folder that the source is in; -1 when the way there is not sound */
    const char *name; /* of the source in it; points into the path */
    bool exists;
    struct stat st; /* the source itself, a link not followed */
} BindWalk;

/* Every folder above the source must be a real one of root's that nobody else may write to. What the podman user keeps in its own
 * runtime folder may lie in folders of that user when it is a socket: podman's own. Errors name the component, its owner and mode,
 * and what to do: preflight.bind-missing, preflight.bind-way. A source that does not exist is no error when the way is sound. */
int bind_walk(const char *path, const PodmanUser *user, BindWalk *ret, Error *err) _must_check_;
void bind_walk_done(BindWalk *w);

/* Makes the missing folder at the end of the way and gives it to uid:gid. Errors: file.write. */
int bind_make_folder(const BindWalk *w, const char *path, mode_t mode, uid_t uid, gid_t gid, Error *err) _must_check_;

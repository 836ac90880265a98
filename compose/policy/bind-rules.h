/* SPDX-License-Identifier: MIT */
/* Which host folders may be mounted side by side, and which folders may lie on the path to them. Podman resolves a
 * source again at every start, without asking anybody, so no container may be able to change where a source's path
 * leads. Pure: paths, owners and modes in, a verdict out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* By components: "/a/b" is below "/a/b" and "/a", not below "/a/bb". Both clean, as policy_path_is_clean() says. */
bool path_is_below(const char *path, const char *dir);

/* One mount of a host path. */
typedef struct BindUse {
    char *service;
    char *source;
    bool writable;
} BindUse;

/* Whether one source lies below the other, and at least one of them is mounted writable. The same source twice is no
 * conflict: neither service can replace what it stands in. */
bool bind_uses_conflict(const BindUse *a, const BindUse *b);

/* The first use that conflicts with `use`, or NULL. `use` itself may be among them. */
const BindUse *bind_find_conflict(const BindUse *use, const BindUse *others, size_t n);

typedef enum BindFault {
    BIND_SOUND,
    BIND_LINK, /* may lead elsewhere tomorrow */
    BIND_NO_FOLDER,
    BIND_OWNER,    /* the owner of a folder may replace what is in it */
    BIND_WRITABLE, /* so may anybody who can write to it; entries of an ACL show in the group's bits */
} BindFault;

/* A folder on the way to a source. `trusted` is root, or the user who runs the agent where that is not root. */
BindFault bind_judge_component(mode_t mode, uid_t owner, uid_t trusted);

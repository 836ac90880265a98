/* SPDX-License-Identifier: MIT */
/* Whether what containers mount of the volumes' folder is nosuid,nodev there, too. Pure: two texts of the kernel's in. */
#pragma once

#include "lib/base/strv.h"

/* Where the folders of the host were mounted last, and from which file system: made of /proc/self/mountinfo. */
typedef struct FolderPlaces {
    char **places; /* "DEVICE ROOT": what is seen at the folder, then what is mounted below it */
    bool flags;    /* the folder itself is nosuid,nodev */
} FolderPlaces;

/* `folder` is an absolute path without links. -ENOMEM, or -EINVAL when the text is not the kernel's. */
int volume_places_parse(const char *mountinfo, const char *folder, FolderPlaces *ret) _must_check_;
void volume_places_done(FolderPlaces *p);

/* Adds to *ret the places in a container, by its mountinfo, at which it sees something of them without both flags. */
int volume_mounts_find_bare(const FolderPlaces *p, const char *mountinfo, char ***ret) _must_check_;

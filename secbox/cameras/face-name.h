/* SPDX-License-Identifier: MIT */
/* What Frigate is told that a face of the community is called: "secbox_", the id of the user or ban without its dashes, "_" and
 * the beginning of its picture's digest. By that name alone it is known whose face it is, that we have put it there, and by which
 * picture: nothing has to be remembered elsewhere, and what people have named themselves is never touched. Of letters that every
 * Frigate leaves as they are, and not longer than the 50 that its pages allow. Pure. */
#pragma once

#include <stdbool.h>

#include "lib/base/uuid.h"

#define FACE_NAME_SIZE (7 + 32 + 1 + 8 + 1)

/* false: these are no id and no digest. */
bool face_name_make(const char *id, const char *sha256, char ret[static FACE_NAME_SIZE]);
bool face_name_is_ours(const char *name);
/* Whose face it is. false: it is none of ours; *ret stays. */
bool face_name_id(const char *name, char ret[static UUID_SIZE]);

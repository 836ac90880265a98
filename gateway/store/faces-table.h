/* SPDX-License-Identifier: MIT */
/* Pictures of enrolled faces, of users and bans: one a row. The row's `face` is the picture's digest, which boxes hear of as of any
 * other change. */
#pragma once

#include <stdint.h>

#include "lib/postgres/statement.h"

extern const char schema_faces[];

typedef struct FaceChange {
    const char *kind, *id, *community, *actor; /* kind: "users" or "bans" */
    const char *sha256, *jpeg;                 /* the second in Base64; both NULL: none any more */
} FaceChange;

/* 0 outcome ("absent": there is no such row), 1 epoch, 2 version of the community. */
Statement sql_face_set(const FaceChange *c);
/* The picture in Base64; no row: none. */
Statement sql_face(const char *kind, const char *id, const char *community);
/* For a box of this community: the picture's length, and FACE_PART_SIZE bytes of it from `offset` on in Base64. No row: the box
 * does not serve that community, or nobody in it has that face. */
Statement sql_face_part(const char *device, const char *community, const char *sha256, uint64_t offset);

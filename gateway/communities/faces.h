/* SPDX-License-Identifier: MIT */
/* Pictures of enrolled faces: operators give them to users and bans, and the boxes of the community fetch them in parts
 * (docs/wire-format.md, "Faces"). */
#pragma once

#include "gateway/communities/api-communities.h"
#include "gateway/devices/device-connection.h"

typedef struct Faces Faces;

/* What is given is borrowed. NULL: out of memory. */
Faces *faces_new(Store *store, DeviceConns *conns, const CommunityEvents *events);
Faces *faces_free(Faces *f);

extern const Route face_routes[]; /* of a Faces */

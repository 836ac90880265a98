/* SPDX-License-Identifier: MIT */
#include "secbox/matches/sighting.h"

const char *sighting_kind_name(SightingKind kind)
{
    return kind == SIGHTING_FACE ? "face" : "plate";
}

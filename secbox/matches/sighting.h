/* SPDX-License-Identifier: MIT */
/* A plate or a face that a camera has seen, as far as it is known yet. */
#pragma once

#include <stdbool.h>

#include "secbox/matches/frigate-news.h"

typedef enum SightingKind { SIGHTING_PLATE, SIGHTING_FACE, _SIGHTING_KINDS } SightingKind;

typedef struct Sighting {
    SightingKind kind;
    char id[FRIGATE_ID_SIZE]; /* of the car or person, by Frigate */
    char camera[CAMERA_NAME_MAX + 1];
    char text[READING_MAX + 1]; /* the plate, or the name by which Frigate knows the face */
    double score;               /* the best of it, from 0 to 1; READING_NO_SCORE */
    unsigned readings;          /* how often it was read so */
    bool sure;                  /* Frigate is */
    bool leads;                 /* false: so far it is likelier that it is another */
    usec_t at;                  /* since 1970 */
} Sighting;

/* "plate", "face". */
const char *sighting_kind_name(SightingKind kind);

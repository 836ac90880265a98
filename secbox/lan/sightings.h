/* SPDX-License-Identifier: MIT */
/* What cameras recognise, held against bans and guests: who is banned, may be, or is expected is told to all guards at once. Bans
 * are in memory, so that needs neither cloud nor database. */
#pragma once

#include "secbox/lan/gate-data.h"
#include "secbox/lan/notices.h"

/* What was seen longer ago is told to no guard: it comes from a time in which nobody listened. */
#define SIGHTING_AGE_MAX (2 * USEC_PER_MINUTE)

typedef struct Sightings Sightings;

typedef struct SightingsEvents {
    void (*on_notice)(void *userdata);                    /* there is something else to be shown */
    void (*want_picture)(const char *id, void *userdata); /* of this object; sightings_take_picture() may follow */
} SightingsEvents;

Sightings *sightings_new(GateData *data, const SightingsEvents *events, void *userdata);
/* NULL-safe; before the data are freed. */
Sightings *sightings_free(Sightings *s);
DEFINE_CLEANUP(Sightings, sightings_free)

void sightings_take(Sightings *s, const Sighting *sighting);
void sightings_take_picture(Sightings *s, const char *id, const void *data, size_t len);
/* Bans were read: what came before the first of them is looked at now. */
void sightings_bans_are_read(Sightings *s);
const Notices *sightings_notices(const Sightings *s);

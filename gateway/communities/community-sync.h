/* SPDX-License-Identifier: MIT */
/* Keeps the copies that boxes have of their community's data up to date: whole tables (a snapshot) for a box that has nothing
 * usable, else what changed (deltas), at once. Only boxes that say what they have (sync.have) are sent anything. */
#pragma once

#include "gateway/devices/device-connection.h"

#define BANS_BEHIND_MINUTES_DEFAULT 15
#define BANS_BEHIND_MINUTES_MAX 10080 /* a week */
#define BANS_AWAY_HOURS_DEFAULT 24
#define BANS_AWAY_HOURS_MAX 8760

typedef struct CommunitySync CommunitySync;

typedef struct CommunitySyncOptions {
    usec_t behind_max; /* a ban that a connected box does not have for so long is an alarm */
    usec_t away_max;   /* a box that was not up to date for so long, because it is away */
} CommunitySyncOptions;

/* NULL when out of memory. What is given is borrowed. */
CommunitySync *community_sync_new(Store *store, DeviceConns *conns, const CommunitySyncOptions *options);
CommunitySync *community_sync_free(CommunitySync *cs);

/* The community has this version now. */
void community_sync_changed(CommunitySync *cs, const char *community, const char *epoch, uint64_t version);
/* What is due, and what could not be done before. Now and then. */
void community_sync_sweep(CommunitySync *cs);
/* Whether the box keeps a copy and is connected. */
bool community_sync_has_box(const CommunitySync *cs, const char *device);

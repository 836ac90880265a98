/* SPDX-License-Identifier: MIT */
/* What the box's Frigate recognises: told at once to whoever shows it to guards, and to the cloud as events of the queue. What
 * Frigate saw while nobody listened (a restart of either, a cut) is asked for afterwards; nothing is reported twice. */
#pragma once

#include <systemd/sd-event.h>

#include "secbox/cameras/cameras.h"
#include "secbox/matches/sighting.h"
#include "secbox/queue/queue.h"

typedef struct Matches Matches;

typedef struct MatchesOptions {
    Cameras *cameras;      /* borrowed */
    Queue *queue;          /* borrowed; NULL: the cloud is told nothing */
    const char *device_id; /* borrowed */
    const char *state_dir;
    void (*on_seen)(const Sighting *s, void *userdata);
    void (*on_picture)(const char *id, const void *data, size_t len,
                       void *userdata); /* a JPEG of matches_ask_picture() */
    void *userdata;
} MatchesOptions;

int matches_new(sd_event *event, const MatchesOptions *options, Matches **ret, Error *err) _must_check_;
/* NULL-safe. */
Matches *matches_free(Matches *m);
DEFINE_CLEANUP(Matches, matches_free)

/* Frigate is in another state. */
void matches_cameras_changed(Matches *m);
/* Of what a sighting is of, by its id. */
void matches_ask_picture(Matches *m, const char *id);

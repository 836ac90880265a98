/* SPDX-License-Identifier: MIT */
/* pulled-images.json: which images this box got because of us, and which of its images each snapshot ran with. Only the former are
 * ever removed, and none of the latter while a rollback may return to it. */
#pragma once

#include "mgmt-agent/state/current.h"

typedef struct PulledImage {
    char *image_id, *reference;
    cJSON *rest;
} PulledImage;

typedef struct PulledImages {
    PulledImage *images;
    size_t n_images;
    cJSON *snapshots; /* {VERSION: [imageId, …]} */
    cJSON *rest;
} PulledImages;

/* Losing the file costs disk space: what it named is not removed any more. -ENOMEM is the only failure. */
int pulled_load(PulledImages *ret) _must_check_;
int pulled_save(const PulledImages *p, Error *err) _must_check_;
void pulled_done(PulledImages *p);
/* Where it cannot be kept true: what is not known to be ours, or not to be needed, is never removed. */
void pulled_forget(void);

/* In memory; 0 or -ENOMEM. */
int pulled_add_image(PulledImages *p, const char *image_id, const char *reference) _must_check_;
void pulled_remove_image(PulledImages *p, size_t at);
/* Replaces what was noted of that version. */
int pulled_note_snapshot(PulledImages *p, const Current *c) _must_check_;
/* Whether the image has only names that we have given it: pulled by digest, by `reference`, or kept below `keep`. */
bool pulled_is_nameless(const cJSON *names, const char *reference, const char *keep);

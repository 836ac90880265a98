/* SPDX-License-Identifier: MIT */
/* Images that were pulled because of us, and go when nothing needs them. */
#pragma once

#include "lib/base/map.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/worker/podman/podman.h"

/* An image came that was not in `before` (podman_images()): it is ours to remove. */
void deploy_note_pulled(const cJSON *before, const char *image_id, const char *reference);
/* What is committed (`now`), and what was before if that is known, run with these images; forgets snapshots that are gone. */
void deploy_note_snapshots(const Current *before, const Current *now);
/* None of this project can be gone back to any more. */
void deploy_forget_snapshots(void);
/* Adds the images of every snapshot that a rollback may return to. */
int deploy_keep_snapshot_images(char ***keep) _must_check_;
/* The images that a change was about: those of its updates, and service → id. Either may be NULL. */
typedef struct NewImages {
    const Journal *journal;
    const Map *ids;
} NewImages;
/* `kept`: stay as well, since they are not to blame for how the change ended and may be tried again; NULL: none. */
void deploy_sweep_images(Podman *podman, const char *project, const NewImages *kept);

/* SPDX-License-Identifier: MIT */
/* Images that were pulled because of us, and go when nothing needs them. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* An image came that was not in `before` (podman_images()): it is ours to remove. */
void deploy_note_pulled(const cJSON *before, const char *image_id, const char *reference);
/* What is committed, and what was before, run with these images; forgets snapshots that are gone. */
void deploy_note_snapshots(const Deploy *d);
/* Adds the images of every snapshot that a rollback may return to. */
int deploy_keep_snapshot_images(char ***keep) _must_check_;
/* `keep_new`: what this change was about is not to blame for how it ended, and may be tried again. */
void deploy_sweep_images(Deploy *d, bool keep_new);

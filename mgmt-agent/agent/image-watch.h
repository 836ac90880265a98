/* SPDX-License-Identifier: MIT */
/* The watcher: from time to time, or when asked, it looks at what runs, asks the registries, and has new images put in place,
 * one deployment after another. Everything that may take time is a worker's; the watcher waits for the agent to be idle, and
 * lets it go first. */
#pragma once

#include "mgmt-agent/agent/agent.h"

/* interval_usec: instead of what the settings say; 0: the settings. `project` is NULL for the box's own. */
int watch_new(Agent *a, const char *project, usec_t interval_usec, Watch **ret, Error *err) _must_check_;
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch, watch_free)

/* It has a look at what is due. */
void watch_arm(Watch *w);
/* Whether a round of it is under way. */
bool watch_is_at_work(const Watch *w);
/* The agent has nothing to do: what waited for that goes on. NULL-safe, as all of these. */
void watch_continue(Watch *w);
/* Hears of every deployment's progress, and of the results of its project, its own among them. */
void watch_note_progress(Watch *w, const cJSON *message);
void watch_note_result(Watch *w, const cJSON *result);
/* Of another project: names of images may mean other ones since, and that is nobody's doing. */
void watch_note_others_result(Watch *w, const cJSON *result);
/* What rollouts have halted with: an array of digests; or what another watcher has heard of it. */
void watch_note_halted(Watch *w, const cJSON *digests);
void watch_take_halted(Watch *w, const Watch *from);
/* Of how many services a newer image is known that is not in place yet. */
size_t watch_count_news(const Watch *w);
/* A client is gone: nobody to answer any more. */
void watch_forget_client(Watch *w, const ControlClient *c);

/* handlers */
void watch_handle_get(Agent *a, ControlClient *c, const cJSON *message);
void watch_handle_check(Agent *a, ControlClient *c, const cJSON *message);
void watch_handle_undo(Agent *a, ControlClient *c, const cJSON *message);
void watch_handle_forget(Agent *a, ControlClient *c, const cJSON *message);
void watch_handle_hold(Agent *a, ControlClient *c, const cJSON *message);
void watch_handle_halted(Agent *a, ControlClient *c, const cJSON *message);

/* SPDX-License-Identifier: MIT */
/* The watchers of the projects beside the box's own one: each has an image watcher and a service watch of its own, which look at no
 * other project's files. NULL-safe, as theirs. */
#pragma once

#include "mgmt-agent/agent/agent.h"

/* `poll_interval` and `pace` as in AgentOptions. */
int project_watches_new(Agent *a, usec_t poll_interval, unsigned pace, ProjectList **ret, Error *err) _must_check_;
ProjectList *project_watches_free(ProjectList *w);
DEFINE_CLEANUP(ProjectList, project_watches_free)

/* Begins with projects that are new, and ends with those that were removed: whenever a change has ended. */
void project_watches_follow(Agent *a);
/* The agent has nothing to do. */
void project_watches_continue(Agent *a);
/* One of the agent's settings has changed. */
void project_watches_take_settings(const Agent *a);
/* What a deployment of any project says. */
void project_watches_note_progress(const Agent *a, const cJSON *message);
void project_watches_note_result(const Agent *a, const cJSON *result);
void project_watches_forget_client(const Agent *a, const ControlClient *c);
/* What rollouts have halted with is so for all projects. */
void project_watches_note_halted(const Agent *a, const cJSON *digests);

/* Of the project that is called so; of the box's own for NULL, and NULL when there is no such one. */
Watch *agent_watch_of(const Agent *a, const char *project);
ServiceWatch *agent_services_of(const Agent *a, const char *project);
/* Whether any of all image watchers, the box's own among them, is at work: one at a time is. */
bool agent_watch_is_at_work(const Agent *a);
/* Whether any service watch is asking podman. */
bool agent_services_are_asked(const Agent *a);
/* One of them has ended: the next may begin. */
void agent_arm_watches(const Agent *a);
/* Of how many services of all projects a newer image is known that is not in place yet. */
size_t agent_count_news(const Agent *a);

/* SPDX-License-Identifier: MIT */
/* Whether this box belongs to a cloud: it takes a claim, writes mgmt-agent.env, and sees by mgmt-link what becomes of it. Nothing
 * else writes that file. */
#pragma once

#include "mgmt-agent/agent/agent.h"

/* Also carries out what a run before was killed in. */
int pairing_new(Agent *a, Pairing **ret, Error *err) _must_check_;
/* NULL-safe. */
Pairing *pairing_free(Pairing *p);

void pairing_handle_get(Agent *a, ControlClient *c, const cJSON *message);
void pairing_handle_claim(Agent *a, ControlClient *c, const cJSON *message);
void pairing_handle_end(Agent *a, ControlClient *c, const cJSON *message);

/* All NULL-safe. mgmt-link has said hello; how its tunnel stands. */
void pairing_note_hello(Pairing *p);
void pairing_note_link(Pairing *p, const cJSON *status);
/* compose.progress and compose.result, for the page. */
void pairing_note_progress(Pairing *p, const cJSON *message);
void pairing_note_result(Pairing *p, const cJSON *result);
/* mgmt-agent.env may be another. */
void pairing_look(Pairing *p);

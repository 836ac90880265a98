/* SPDX-License-Identifier: MIT */
/* Grants, as the verbs that log in use them. */
#pragma once

#include "gateway/fleet/fleet.h"

/* Asks for a grant with the options of the command line, after fleet_begin(); the reply holds it. As api_call(), and
 * error id "usage". */
int fleet_grant_make(Fleet *fleet, const char *device, ApiReply *reply, Error *err) _must_check_;
/* Of the grant in a reply; borrowed, never NULL. */
const char *fleet_grant_id(const ApiReply *reply);
/* A whole number that is a member, 0 when there is none. */
int fleet_int(const cJSON *object, const char *key);

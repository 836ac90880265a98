/* SPDX-License-Identifier: MIT */
/* Grants, as the verbs that log in use them. All after fleet_begin(). */
#pragma once

#include "gateway/fleet/fleet.h"

/* Asks for a grant with the options of the command line; the reply holds it. As api_call(), and error id "usage". */
int fleet_grant_make(Fleet *fleet, const char *device, ApiReply *reply, Error *err) _must_check_;
/* Of the grant in a reply; borrowed, never NULL. */
const char *fleet_grant_id(const ApiReply *reply);
/* A whole number that is a member, 0 when there is none. */
int fleet_int(const cJSON *object, const char *key);

/* The grant to log in with: --grant, or the newest of mine that holds and is as the command line asks. A new string. *reply
 * is that of the last request. As api_call(), and fleet.no-grant with what to type. */
int fleet_grant_find(Fleet *fleet, const char *device, char **ret, ApiReply *reply, Error *err) _must_check_;

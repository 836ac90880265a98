/* SPDX-License-Identifier: MIT */
/* Grants: that a named person may log in to one box, for a reason and for a while. What is asked for, what is stored, and
 * whether it holds; pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/store/grants-table.h"
#include "lib/base/error.h"

#define GRANT_SECONDS_DEFAULT 3600
#define GRANT_SESSION_SECONDS_DEFAULT 3600
#define GRANT_IDLE_SECONDS_DEFAULT 900
#define GRANT_ACCOUNT_DEFAULT "root"
#define GRANT_ACCOUNT_MAX 32 /* as useradd(8) */

/* What the body of POST /v1/grants asks for; texts are borrowed from it. */
typedef struct GrantRequest {
    const char *device, *reason, *account;
    unsigned seconds, max_seconds, idle_seconds;
    bool forwarding, break_glass;
} GrantRequest;

/* -EINVAL: grant.no-device, grant.no-reason, grant.bad-reason, grant.bad-duration, grant.bad-flag, grant.bad-account. */
int grant_request_read(const cJSON *body, GrantRequest *ret, Error *err) _must_check_;

/* Whether this person may use it now for this box (NULL: whichever it is for). -EACCES: grant.not-yours,
 * grant.other-device, grant.revoked, grant.expired. */
int grant_check(const Grant *g, const char *person, const char *device, Error *err) _must_check_;

/* The member `account` of a request, borrowed from it; the default when there is none. -EINVAL: grant.bad-account. */
int grant_account_read(const cJSON *body, const char **ret, Error *err) _must_check_;

/* Whether an operator whose token is for these accounts (a JSON array as text; NULL: all) may ask for this one. -EACCES:
 * grant.other-account. */
int grant_account_check(const char *accounts, const char *account, Error *err) _must_check_;

/* "grant.not-found" with a sentence; returns -ENOENT. */
int grant_not_found(const char *id, Error *err);

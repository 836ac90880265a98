/* SPDX-License-Identifier: MIT */
/* Who is logged in to the guards' app. A session is a random token in a cookie; of it only the SHA-256 is kept, in a file, so
 * that an update of secbox logs nobody out in the middle of a shift. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define GUARD_SESSION_LIFE (16 * USEC_PER_HOUR)
#define GUARD_SESSIONS_MAX 64 /* when there are more, the oldest ends */
#define GUARD_TOKEN_SIZE 44   /* base64url of 32 bytes */

typedef struct GuardSessions GuardSessions;

typedef struct GuardSession {
    char *guard, *name;  /* the user's id and name */
    usec_t since, until; /* since 1970 */
} GuardSession;

/* A file that cannot be read is as good as none: guards log in again. -ENOMEM. */
int guard_sessions_load(const char *path, GuardSessions **ret) _must_check_;
GuardSessions *guard_sessions_free(GuardSessions *s);
DEFINE_CLEANUP(GuardSessions, guard_sessions_free)

/* Begins one and saves the file. Errors: file.write (the session counts nevertheless). */
int guard_session_begin(GuardSessions *s, const char *guard, const char *name, const char *browser, usec_t now,
                        char ret_token[static GUARD_TOKEN_SIZE], Error *err) _must_check_;
/* NULL: there is none by this token, or it is over. A clock that was set back ends none. */
const GuardSession *guard_session_find(GuardSessions *s, const char *token, usec_t now);
int guard_session_end(GuardSessions *s, const char *token, Error *err) _must_check_;
/* Ends the sessions of guards for whom `stays` says no. */
int guard_sessions_keep(GuardSessions *s, bool (*stays)(const char *guard, void *userdata), void *userdata,
                        Error *err) _must_check_;
size_t guard_sessions_count(const GuardSessions *s);
/* Whether this guard has logged in with this browser before; the last 256 pairs are remembered. */
bool guard_sessions_know(const GuardSessions *s, const char *guard, const char *browser);

/* SPDX-License-Identifier: MIT */
/* How often a PIN may be tried. Five tries are free; then each failure costs a delay that doubles, from 30 s to 15 min. What
 * counts is the guard and the browser: rootless port forwarding shows one address for everybody on the WiFi, and a stranger who
 * guesses must not lock the guard out of the tablet that the guard has used before. All browsers in which a guard has never
 * logged in count as one. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

typedef struct LoginThrottle LoginThrottle;

LoginThrottle *login_throttle_new(void);
LoginThrottle *login_throttle_free(LoginThrottle *t);
DEFINE_CLEANUP(LoginThrottle, login_throttle_free)

/* browser: one in which this guard has logged in before, or NULL. How long the next try has to wait, 0: not at all. `now` is of
 * a clock that does not run backwards. */
usec_t login_throttle_wait(const LoginThrottle *t, const char *guard, const char *browser, usec_t now);
/* A wrong PIN; a right one. */
int login_throttle_failed(LoginThrottle *t, const char *guard, const char *browser, usec_t now) _must_check_;
void login_throttle_passed(LoginThrottle *t, const char *guard, const char *browser);

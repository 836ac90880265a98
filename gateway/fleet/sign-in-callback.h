/* SPDX-License-Identifier: MIT */
/* The end of a sign-in: the browser comes back to a port of this machine's loopback (RFC 8252 §7.3), or somebody pastes
 * the address to which it was sent, when it runs on another machine. */
#pragma once

#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct SignInCallback {
    int fd;
    uint16_t port;
} SignInCallback;

/* port 0: any. fleet.sign-in. */
int sign_in_callback_open(SignInCallback *ret, uint16_t port, Error *err) _must_check_;
void sign_in_callback_close(SignInCallback *c);
/* Waits for `code` of the answer that has this `state`. *ret is a secret of the caller's. Errors: fleet.sign-in: nobody
 * came in time, or the provider's own reason. */
int sign_in_callback_wait(const SignInCallback *c, const char *state, usec_t timeout, char **ret,
                          Error *err) _must_check_;

/* Pure. The same of one address, or of the target of a request ("/callback?code=…&state=…"): 1 when it is an answer to
 * this sign-in, 0 when it is not, negative as above. */
int sign_in_callback_read(const char *target, const char *state, char **ret, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* One call of podman's REST API, for the files that ask it something. */
#pragma once

#include "lib/base/clock.h"
#include "lib/http/client.h"
#include "mgmt-agent/worker/podman/podman.h"

/* `path` stands behind the API's version; `what` ends the sentence "podman refused to …". `body` is JSON or NULL, ret may be
 * NULL. Answers 2xx and 304 (already so) give 0; 404 gives -ENOENT. */
int podman_call(Podman *p, const char *method, const char *path, const char *body, usec_t timeout, const char *what,
                HttpResponse *ret, Error *err) _must_check_;

typedef struct PodmanCall {
    const char *method, *path, *body;
    usec_t timeout;
    const char *what;
} PodmanCall;

/* The same for n calls, at most `parallel` of them at a time. rets, errs and results are arrays of n, empty before; the caller
 * frees what is in them. results[i] is what podman_call() would have returned. Negative when nothing was asked. */
int podman_call_all(Podman *p, const PodmanCall *calls, size_t n, unsigned parallel, HttpResponse *rets, Error *errs,
                    int *results) _must_check_;

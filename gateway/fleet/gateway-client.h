/* SPDX-License-Identifier: MIT */
/* Calls to the gateway's HTTP interface for operators (docs/wire-format.md). */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/json.h"

typedef struct Api {
    char *gateway; /* base URL without a slash at its end; owned */
    char *token;   /* secret; owned; NULL: none is shown */
    char *ca_file; /* NULL = the system's authorities; owned */
} Api;

void api_done(Api *api);

typedef struct ApiReply {
    int status;  /* HTTP, 0 when there was no answer */
    cJSON *body; /* an object when the call returned 0; owned */
} ApiReply;

void api_reply_done(ApiReply *reply);

/* One request to its end; `body` may be NULL. *reply is released first and always set. 0 for a 2xx answer with a JSON object;
 * -EREMOTEIO when the gateway answered with an error (err is the gateway's own, or api.status); -EHOSTUNREACH when it did not
 * answer (http.*) or not with JSON (api.bad-answer). Where the gateway wants a second person for it, this says so on stderr and
 * waits, an hour at most, then asks once more. */
int api_call(const Api *api, const char *method, const char *path, const cJSON *body, usec_t timeout, ApiReply *reply,
             Error *err) _must_check_;

/* Questions (GET) to several paths at once, at most `parallel` at a time; replies, errs and results are zeroed arrays of
 * n, and results[i] is what api_call() would have returned. Negative when none could be asked. */
int api_ask_all(const Api *api, const char *const *paths, size_t n, unsigned parallel, usec_t timeout,
                ApiReply *replies, Error *errs, int *results) _must_check_;

/* The same as api_call() with a body of any kind; text NULL: none. */
int api_send(const Api *api, const char *method, const char *path, const char *content_type, const char *text,
             size_t len, usec_t timeout, ApiReply *reply, Error *err) _must_check_;

/* Asks for what is no JSON; *ret is a new block with a NUL behind it. reply->body is set only where the gateway answered with an
 * error, as of api_call(). */
int api_fetch(const Api *api, const char *path, usec_t timeout, ApiReply *reply, char **ret, size_t *ret_len,
              Error *err) _must_check_;

/* The same of what may be large: written to `out` as it comes. What has been written stays when it breaks off. */
int api_download(const Api *api, const char *path, usec_t timeout, FILE *out, ApiReply *reply, Error *err) _must_check_;

/* Whether nobody could be asked: no answer, a proxy's word for that, or a box that is offline. */
bool api_is_unreachable(const ApiReply *reply, int r);

/* A new string with everything but letters, digits, '-', '.', '_' and '~' percent-encoded (RFC 3986 §2.1), or NULL. */
char *api_encode(const char *text);

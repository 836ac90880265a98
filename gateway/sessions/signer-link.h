/* SPDX-License-Identifier: MIT */
/* The gateway's side of its signer: starts it, or connects to one that the service manager starts, again whenever it has ended;
 * asks it, and hands what it answers to the requests that wait. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "gateway/http/request.h"
#include "lib/base/error.h"

typedef struct SignerLink SignerLink;

typedef struct SignerLinkOptions {
    const char *socket;    /* of a signer that runs by itself; NULL: it is our own child */
    const char *state_dir; /* for the child: where the authority's key is */
    const char *database;  /* the same: libpq connection string */
} SignerLinkOptions;

int signer_link_new(sd_event *event, Requests *requests, const SignerLinkOptions *options, SignerLink **ret,
                    Error *err) _must_check_;
SignerLink *signer_link_free(SignerLink *l);
DEFINE_CLEANUP(SignerLink, signer_link_free)

/* The authority's public key as one line; NULL as long as no signer has told it. Borrowed. */
const char *signer_link_public(const SignerLink *l);
/* Asks in the name of a request, at once or when the signer is there; takes `question`, also on failure, and names it. Then the
 * request has to wait. -EAGAIN "signer.too-many". */
int signer_link_ask(SignerLink *l, const Request *c, cJSON *question, Error *err) _must_check_;
/* Waits for its answer: `news` is a cJSON object with what the signer says; NULL: nothing in time, or the signer has ended. With no
 * question of its own, a request gets the same as soon as the key is known, in `publicKey`. */
void signer_link_wait(Request *c, request_news_t on_news);
/* Answers a request with what came of NULL news. */
void signer_link_fail(Request *c);

/* SPDX-License-Identifier: MIT */
/* Sends each community's events on to its receiver, in their order, one at a time for each community. How far that is stands in the
 * database before the next one goes out: an event is delivered at least once, and always under the same id. What a receiver does
 * not take within so many tries becomes a dead letter, and the next one is tried. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/http/client.h"
#include "lib/http/proxy-header.h"
#include "lib/postgres/store.h"

typedef struct Webhooks Webhooks;

typedef struct WebhooksOptions {
    const char *ca_file;  /* PEM of authorities beside the system's; NULL: none */
    const char *networks; /* that lie not on the Internet and may be connected to all the same; NULL: none */
    unsigned tries;       /* of one event */
} WebhooksOptions;

/* What is given is borrowed. */
int webhooks_new(sd_event *event, Store *store, const WebhooksOptions *options, Webhooks **ret,
                 Error *err) _must_check_;
Webhooks *webhooks_free(Webhooks *w);
DEFINE_CLEANUP(Webhooks, webhooks_free)

/* The community has a new event. */
void webhooks_wake(Webhooks *w, const char *community);
/* Its webhook is another one, or goes on: what is under way is given up and begins anew. */
void webhooks_changed(Webhooks *w, const char *community);
void webhooks_removed(Webhooks *w, const char *community);
/* Finds what is due. At the start, and now and then. */
void webhooks_sweep(Webhooks *w);

/* One signed request that is no event. The body is JSON; on_done is as in http_start(). */
int webhooks_send_test(Webhooks *w, const char *url, const char *secret, const char *body, http_done_t on_done,
                       void *userdata, HttpCall **ret, Error *err) _must_check_;

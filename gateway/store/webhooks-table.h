/* SPDX-License-Identifier: MIT */
/* Webhooks, and the events that they have still to deliver. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/postgres/statement.h"

typedef struct WebhookRow {
    const char *community, *url;
    const char *secret;     /* NULL: the one that it has stays */
    const char *own_secret; /* for a new one without `secret` */
    int64_t after;          /* begin behind this event; negative: as it is, or with what comes from now on */
    const char *actor;
} WebhookRow;

/* 0 whether the community exists, 1 whether there was no webhook before, 2 {"webhook": …}, 3 whether own_secret is its secret
 * now. */
Statement sql_webhook_set(const WebhookRow *w);
/* 0 whether the community exists, 1 {"webhook": …} or null; of its URL only scheme and host unless it is to be whole. */
Statement sql_webhook_show(const char *community, bool whole_url);
/* No row: there was none. */
Statement sql_webhook_remove(const char *community, const char *actor);

/* Every webhook whose community exists: 0 community, 1 whether an event waits for it. */
Statement sql_webhooks_all(void);
/* The next event of one: 0 seq, 1 id of the message, 2 body, 3 url, 4 secret, 5 whether it is a dead letter that is tried again,
 * 6 how often it was tried, 7 milliseconds until it may be sent, 8 when the webhook was set. No row: nothing to do. */
Statement sql_webhook_next(const char *community);
/* 0 url, 1 secret. */
Statement sql_webhook_target(const char *community);

typedef struct WebhookEvent {
    const char *community, *set_at;
    uint64_t seq;
    bool again; /* a dead letter */
} WebhookEvent;

/* What became of it. A webhook that was set anew meanwhile stays as it is. */
Statement sql_webhook_delivered(const WebhookEvent *e);
Statement sql_webhook_failed(const WebhookEvent *e, const char *reason, uint64_t wait_ms);
/* stop: nothing more is sent until somebody says so. Its alarm, for audit_written_once(). */
Statement sql_webhook_dead(const WebhookEvent *e, const char *reason, bool stop);

/* 0 {"dead": […], "next"}, 1 whether there is a webhook. */
Statement sql_webhook_dead_list(const char *community, uint64_t after, uint64_t limit);
/* seq 0: all of them. 0 how many, 1 whether there is a webhook. One that is stopped goes on. */
Statement sql_webhook_retry(const char *community, uint64_t seq, const char *actor);

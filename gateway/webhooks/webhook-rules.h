/* SPDX-License-Identifier: MIT */
/* What a webhook's secret and URL look like, how a message is signed (Standard Webhooks, v1), and what follows from an answer.
 * Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define WEBHOOK_SECRET_PREFIX "whsec_"
#define WEBHOOK_TRIES_DEFAULT 20
#define WEBHOOK_TRIES_MAX 100
#define WEBHOOK_WAIT_MAX USEC_PER_DAY

/* "whsec_" and 24 to 64 bytes in Base64. Error: webhook.bad-secret. */
int webhook_secret_check(const char *secret, Error *err) _must_check_;
/* A new random one: secret_free(). NULL when out of memory. */
char *webhook_secret_make(void);
/* https, or http to this machine, without user or password. Error: webhook.bad-url. */
int webhook_url_check(const char *url, Error *err) _must_check_;
/* "the receiver at HOST", for people who may not see the rest of such a URL: a new string. */
char *webhook_receiver(const char *url);

/* "v1,…" over ID.SECONDS.BODY: a new string. */
int webhook_sign(const char *secret, const char *id, uint64_t seconds, const char *body, size_t len, char **ret,
                 Error *err) _must_check_;

typedef enum WebhookVerdict {
    WEBHOOK_TAKEN,
    WEBHOOK_AGAIN,
    WEBHOOK_GONE, /* the receiver wants no more */
} WebhookVerdict;

WebhookVerdict webhook_verdict(int status);

/* How long to wait after so many failed tries (1 and more): doubled from five seconds up to an hour, a quarter more or less, and
 * never less than the receiver has asked for. */
usec_t webhook_wait(unsigned tries, uint64_t random, usec_t retry_after);

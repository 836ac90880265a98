/* SPDX-License-Identifier: MIT */
/* Whether the programs that should be listening do so and answer: one short connection to each, all at once. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

#define LISTENERS_MAX 8

typedef enum ListenerKind {
    LISTENER_TCP,    /* tcp:HOST:PORT accepts */
    LISTENER_BANNER, /* banner:HOST:PORT speaks first */
    LISTENER_HTTP,   /* http:HOST:PORT/path answers with a status below 500 */
} ListenerKind;

/* What a listener's first bytes say: 1 good, 0 bad, -EAGAIN as long as they can become either. Pure. */
int listener_judge(ListenerKind kind, const char *data, size_t len);

typedef struct Listeners Listeners;

/* `list` names them, separated by spaces; NULL = none. HOST is numeric, IPv6 in brackets. listeners.bad. */
int listeners_new(sd_event *event, const char *list, Listeners **ret, Error *err) _must_check_;
Listeners *listeners_free(Listeners *l);
DEFINE_CLEANUP(Listeners, listeners_free)

size_t listeners_count(const Listeners *l);
/* As it was written in the list; borrowed. */
const char *listeners_name(const Listeners *l, size_t i);
/* Tries all of them; on_settled runs once, from the loop, when each has its result. */
void listeners_try(Listeners *l, void (*on_settled)(void *userdata), void *userdata);
/* Ends those that are still under way: they are bad. */
void listeners_expire(Listeners *l);
bool listeners_good(const Listeners *l, size_t i);

/* SPDX-License-Identifier: MIT */
/* One GET from a program of ours on 127.0.0.1, without the weight of an HTTP client. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct LoopbackRequest LoopbackRequest;

/* status 0: there was no answer. Runs once, from the loop, within LOOPBACK_GET_TIME; the body is borrowed. May free the GET. */
typedef void (*loopback_get_done_t)(LoopbackRequest *g, int status, const char *body, size_t len, void *userdata);

int loopback_get_new(sd_event *event, uint16_t port, const char *path, loopback_get_done_t on_done, void *userdata,
                     LoopbackRequest **ret) _must_check_;
/* NULL-safe; nothing is called any more. */
LoopbackRequest *loopback_get_free(LoopbackRequest *g);

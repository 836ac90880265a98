/* SPDX-License-Identifier: MIT */
/* recovery-agent's core: always connected, lets people in when the main way does not serve, and tries to mend it. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Recovery Recovery;

/* Paths follow lib/base/paths.h; `program` is our own, see saver.h. Without any usable configuration, now or from before, it
 * waits for one. The loop ends when the configuration has changed. */
int recovery_new(sd_event *event, const char *program, Recovery **ret, Error *err) _must_check_;
Recovery *recovery_free(Recovery *r);
DEFINE_CLEANUP(Recovery, recovery_free)

/* For the watchdog: rounds go on, and what everything here is made of, a socket, works. */
int recovery_is_alive(void *recovery);

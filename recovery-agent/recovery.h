/* SPDX-License-Identifier: MIT */
/* recovery-agent's core: it is always connected, lets people in when the main way does not work, and tries to mend
 * that. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Recovery Recovery;

/* Paths follow lib/base/paths.h; `program` is our own, see saver.h. Without a usable configuration, whether current or
 * remembered, it waits for one. The loop ends when the configuration has changed. */
int recovery_new(sd_event *event, const char *program, Recovery **ret, Error *err) _must_check_;
Recovery *recovery_free(Recovery *r);
DEFINE_CLEANUP(Recovery, recovery_free)

/* For the watchdog: rounds go on, and sockets, which everything here depends on, work. */
int recovery_is_alive(void *recovery);

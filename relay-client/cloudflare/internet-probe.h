/* SPDX-License-Identifier: MIT */
/* Whether the box has internet: whether the cloud's port takes a connection. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/mem.h"

typedef struct InternetProbe InternetProbe;

/* Once, from the loop. May free the probe. */
typedef void (*internet_probe_done_t)(bool there, void *userdata);

/* `url` is CLOUD_BASE_URL; -EINVAL: it names no host. */
int internet_probe_new(sd_event *event, const char *url, internet_probe_done_t on_done, void *userdata,
                       InternetProbe **ret) _must_check_;
/* NULL-safe; nothing is called any more. */
InternetProbe *internet_probe_free(InternetProbe *p);

/* SPDX-License-Identifier: MIT */
/* One page over HTTP on a UNIX socket: `curl --unix-socket PATH http://relay/metrics`. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct MetricsSocket MetricsSocket;

/* `print` makes the page's text, a new string. Whoever may open the socket may read it; what lies at `path` is replaced. */
int metrics_socket_new(sd_event *event, const char *path, char *(*print)(void *userdata), void *userdata,
                       MetricsSocket **ret, Error *err) _must_check_;
MetricsSocket *metrics_socket_free(MetricsSocket *m);

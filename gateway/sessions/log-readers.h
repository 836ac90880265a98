/* SPDX-License-Identifier: MIT */
/* People who read what a service on a box writes: a stream from the box's management tunnel to the operator's. It takes the
 * role operator; no grant is needed, and each reading is in the audit log. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/devices/device-connection.h"
#include "gateway/sessions/operators.h"

typedef struct LogReaders LogReaders; /* all of them */

/* NULL when out of memory; what is given is borrowed. */
LogReaders *log_readers_new(Store *store, DeviceConns *conns);
/* NULL-safe. */
LogReaders *log_readers_free(LogReaders *ls);

/* Takes or refuses the stream of an operator. */
void log_readers_open(LogReaders *ls, Operator *o, MuxStream *s, const cJSON *open);

/* Which ones; NULL is any. */
typedef struct LogFilter {
    const char *device, *token;
} LogFilter;

/* Ends them. `id` is the stable reason and a literal, `sentence` for the person. */
void log_readers_end(LogReaders *ls, const LogFilter *of, const char *id, const char *sentence);

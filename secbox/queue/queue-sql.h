/* SPDX-License-Identifier: MIT */
/* The statements of the queue. Each is one transaction. */
#pragma once

#include "lib/postgres/statement.h"
#include "secbox/queue/queue-rules.h"

/* `batch` is an array of clientId, community, kind, priority, at, data, size. */
Statement sql_queue_write(const char *batch);
/* seq, priority, and the event as the gateway wants it, of those of `community` beyond `after` of their priority. */
Statement sql_queue_next(const char *community, const int64_t after[static _QUEUE_PRIORITIES], int limit);
/* `message` is the text of events.ack. Answers how many are gone. */
Statement sql_queue_ack(const char *message);
/* Answers how many were dropped. `passed`: whether one more tick is over. */
Statement sql_queue_trim(int64_t bytes_max, int64_t ticks_max, bool passed);
/* One object about what waits, what is dead and what was dropped. */
Statement sql_queue_status(const char *community);
/* Mends the counters by which the status is told, once the database is back: a row with true where they were wrong. */
Statement sql_queue_recount(void);
/* An array of the newest dead letters. */
Statement sql_queue_dead(void);
/* Puts a dead letter (NULL: all) back at the end of the queue; answers how many. */
Statement sql_queue_retry(const char *client_id);

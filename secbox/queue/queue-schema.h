/* SPDX-License-Identifier: MIT */
/* The tables of events on their way to the cloud, of what they report, and the functions that change them: steps of the
 * schema in secbox/replica/schema.c. */
#pragma once

extern const char queue_schema_tables[], queue_schema_write[], queue_schema_ack[], queue_schema_trim[],
    queue_schema_keep[], queue_schema_passes[], queue_schema_counts[], queue_schema_planned[];

/* SPDX-License-Identifier: MIT */
/* How far the cloud's audit log was when it was last told to this box. A box says so in its next hello: a log that was rewritten
 * since has another hash there. The text is "NUMBER:HASH", of the last entry of the log's chain (gateway/store/audit-table.h). */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/base/mem.h"

/* Twenty digits, a colon and SHA-256 in hexadecimal, with its NUL. */
#define AUDIT_HEAD_SIZE (20 + 1 + 64 + 1)

/* A decimal number from 1 without leading zeros, a colon, 64 lower-case hexadecimal digits. NULL is not good. */
bool audit_head_is_good(const char *text);

typedef struct AuditMark AuditMark;

/* Reads what the file in state_dir says of this cloud; a file that cannot be read is none. NULL when out of memory. */
AuditMark *audit_mark_new(const char *state_dir, const char *cloud_url);
AuditMark *audit_mark_free(AuditMark *m);
DEFINE_CLEANUP(AuditMark, audit_mark_free)

/* "NUMBER:HASH", or NULL; borrowed. */
const char *audit_mark_get(const AuditMark *m);
/* Keeps what a welcome says, if it says something new. */
void audit_mark_take(AuditMark *m, const cJSON *welcome);

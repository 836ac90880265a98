/* SPDX-License-Identifier: MIT */
/* Root documents that operators have sent (lib/data/trust-root.h), and how each box stands to them. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

extern const char schema_trust_roots[];

typedef struct NewTrustRoot {
    const char *sha256; /* of the statement, as it is encoded */
    uint64_t version;
    const char *envelope; /* as it is carried */
    const char *named;    /* JSON array: the boxes that the document is for; NULL: every box */
    const char *chosen;   /* JSON array: those that it is sent to; NULL: all with … */
    const char *labels;   /* … these labels, a JSON object */
    const char *actor;
} NewTrustRoot;

/* 0 {"root", "boxes"}, the boxes that get it; no row: there is none. What a box has answered before counts no more. */
Statement sql_trust_root_send(const NewTrustRoot *n);
/* 0 sha256, 1 version, 2 envelope (in the first row of each), 3 device: that wait for an answer, by version. */
Statement sql_trust_roots_waiting(void);
/* `error`: JSON of why it was refused; NULL: it was taken. With an entry in the audit log. */
Statement sql_trust_root_answered(const char *sha256, const char *device, const char *error);
/* 0 {"roots"}: newest first, each with its boxes. */
Statement sql_trust_roots(void);

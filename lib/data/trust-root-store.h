/* SPDX-License-Identifier: MIT */
/* Taking a root document (lib/data/trust-root.h): what is durable when, so that a power cut at any point leaves the box with the
 * keys before or with the new ones, and with no way back to an older document. The agent's state holds the floor, in
 * trust-root.json. These say in the log what becomes of keys. */
#pragma once

#include "lib/data/trust.h"

typedef struct TrustRootRecord {
    uint64_t version; /* the highest that was ever taken; 0: none */
    char *sha256;     /* of its statement, as it is encoded; NULL after trust_root_forget(): it is not taken again */
    char *id;         /* of the message that brought it, or "secboxctl" */
    char *who;        /* of the keys before it has signed it */
    usec_t at;        /* when it was taken, by the box's clock */
    bool copied;      /* its keys are in trust/signers, too */
    cJSON *rest;
} TrustRootRecord;

/* Nothing is there: all is 0. What cannot be read stops all that would come: store.read. */
int trust_root_record_load(TrustRootRecord *ret, Error *err) _must_check_;
void trust_root_record_done(TrustRootRecord *n);

/* 1: it was in force already; 0: it is now. Refused without any change: root.no-signers (-EACCES: a gateway may not name the
 * first), those of trust_root_open() and trust_root_check(). */
int trust_root_take(const cJSON *envelope, const char *id, const OrderView *view, Error *err) _must_check_;
/* Copies the keys of the document that is in force into trust/signers, where a power cut stopped that: programs from before root
 * documents, and people, look there. */
int trust_root_settle(Error *err) _must_check_;
/* The document counts no more; the keys that it named stay, pinned. None like it or older is ever taken again. */
int trust_root_forget(Error *err) _must_check_;

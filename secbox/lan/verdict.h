/* SPDX-License-Identifier: MIT */
/* What a guard is told about a plate, a name, a code or a document: pure, from records and a moment. The guards' app decides
 * by the same rules when the box is away (secbox/lan/app/verdict.mjs); tests/cases/verdict.json holds both to them.
 *
 * A ban that fits exactly is VETADO, whatever else fits. A ban that only nearly fits, or whose beginning was typed, is a doubt:
 * nothing is AUTORIZADO then. Else a guest or resident who fits exactly and may come in now is AUTORIZADO, and everything
 * else is DESCONOCIDO. A guest is also held against the bans by name and plate. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/time-window.h"
#include "secbox/lan/match.h"

typedef enum Verdict {
    VERDICT_UNKNOWN,    /* DESCONOCIDO */
    VERDICT_AUTHORISED, /* AUTORIZADO */
    VERDICT_BANNED,     /* VETADO */
} Verdict;

typedef enum RecordKind {
    RECORD_BAN,
    RECORD_GUEST,
    RECORD_RESIDENT,
} RecordKind;

/* Why a guest may not come in now. */
typedef enum Refusal {
    REFUSAL_NONE,
    REFUSAL_NOT_YET,
    REFUSAL_EXPIRED,
    REFUSAL_DAY,
    REFUSAL_HOUR,
    REFUSAL_USED_UP, /* all uses are used up */
} Refusal;

typedef struct Record {
    RecordKind kind;
    const char *name, *plate, *document, *code; /* as they came; NULL where there is none */
    int64_t from, until;                        /* seconds since 1970; 0 = no such bound */
    TimeWindow window;                          /* from 0 to 24:00 on every day, unless the guest has less */
    bool has_uses;
    uint64_t uses, used;
    bool unconfirmed; /* a ban that the cloud no longer names, though nobody took it back */
} Record;

/* A moment where the community is. */
typedef struct LocalMoment {
    int64_t now;              /* seconds since 1970 */
    unsigned weekday, minute; /* 0 is Sunday; minutes since midnight */
} LocalMoment;

typedef struct Fit {
    MatchKind match; /* MATCH_NONE: it does not belong to what was typed */
    Verdict verdict; /* of this record alone, held against the bans */
    Refusal refusal;
    bool doubt; /* a ban nearly fits */
} Fit;

typedef struct Decision {
    Verdict verdict;
    bool doubt;
    size_t reason; /* index of the record that decided, SIZE_MAX: nothing fits */
} Decision;

/* "VETADO", "AUTORIZADO", "DESCONOCIDO"; "", "not-yet", "expired", "day", "hour", "used-up". */
const char *verdict_name(Verdict v);
const char *refusal_name(Refusal n);

Refusal guest_refusal(const Record *guest, const LocalMoment *at);
bool ban_is_active(const Record *ban, const LocalMoment *at);

/* Judges all records by what was typed; fits has one place a record. -ENOMEM. */
int verdict_decide(const char *typed, const Record *records, size_t n, const LocalMoment *at, Fit *fits,
                   Decision *ret) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Who may be meant by what was typed, or read by a camera: records made of bans in memory and of rows of the database, and what the
 * rules (verdict.h) make of them. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/postgres/store.h"
#include "secbox/lan/ban-index.h"
#include "secbox/lan/verdict.h"

#define LOOKUP_RECORDS_MAX 1024

typedef struct Lookup {
    bool has_people; /* set by the caller: bans are looked at because of people from now on */
    /* as many places as `room`, which grows up to LOOKUP_RECORDS_MAX */
    Record *records;
    char **ids, **units;
    cJSON **rows; /* which the records borrow from */
    size_t n, room;
} Lookup;

/* What the rules say. */
typedef struct Judgement {
    Decision decision;
    Fit fits[LOOKUP_RECORDS_MAX];
} Judgement;

/* NULL: out of memory. */
Lookup *lookup_new(void);
Lookup *lookup_free(Lookup *l);
DEFINE_CLEANUP(Lookup, lookup_free)

/* Bans that may belong to somebody of this name, plate, document; each may be NULL. -E2BIG: a person's bans are too many to look
 * at all of them. */
int lookup_add_bans(Lookup *l, const BanIndex *bans, const char *name, const char *plate,
                    const char *document) _must_check_;
/* The ban with this id, if there is one. */
int lookup_add_ban_of_id(Lookup *l, const BanIndex *bans, const char *id) _must_check_;
/* Row i of sql_gate_candidates(), and the bans that this person may have. */
int lookup_add_person(Lookup *l, const BanIndex *bans, const StoreRows *rows, size_t i) _must_check_;

int lookup_judge(const Lookup *l, const char *typed, const LocalMoment *at, Judgement *ret) _must_check_;
/* Adds `fits` as docs/lan-api.md has them: the one that decided first. */
int lookup_add_fits(cJSON *body, const Lookup *l, const Judgement *j) _must_check_;

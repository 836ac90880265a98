/* SPDX-License-Identifier: MIT */
/* Which numbers were noted under a key: filled once, sealed, then only read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

typedef struct PostingPair {
    uint32_t key, number;
} PostingPair;

/* {} is an empty one. */
typedef struct Postings {
    PostingPair *pairs; /* until it is sealed */
    size_t n, cap;
    uint32_t *at, *numbers; /* of bucket b those from at[b] to at[b + 1] */
    unsigned bits;          /* there are 1 << bits buckets */
} Postings;

void postings_done(Postings *p);
/* Before it is sealed. -ENOMEM. */
int postings_add(Postings *p, uint32_t key, uint32_t number) _must_check_;
/* -ENOMEM: it stays as it was. */
int postings_seal(Postings *p) _must_check_;
/* Of a sealed one: how many there are, in order. Some of them may belong to other keys. */
size_t postings_find(const Postings *p, uint32_t key, const uint32_t **ret);

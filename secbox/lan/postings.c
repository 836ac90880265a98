/* SPDX-License-Identifier: MIT */
#include "secbox/lan/postings.h"

#include <errno.h>
#include <stdlib.h>

#define BITS_MIN 4
#define BITS_MAX 24
#define BUCKET_FILLED 2

void postings_done(Postings *p)
{
    free(p->pairs);
    free(p->at);
    free(p->numbers);
    *p = (Postings) {};
}

int postings_add(Postings *p, uint32_t key, uint32_t number)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 256;
        PostingPair *pairs = reallocarray(p->pairs, cap, sizeof(*pairs));
        if (!pairs)
            return -ENOMEM;
        p->pairs = pairs;
        p->cap = cap;
    }
    p->pairs[p->n++] = (PostingPair) { key, number };
    return 0;
}

/* Fibonacci hashing: the high bits are those that depend on all of the key. */
static size_t bucket_of(const Postings *p, uint32_t key)
{
    return (uint32_t) (key * UINT32_C(0x9e3779b1)) >> (32 - p->bits);
}

/* Counts, sums up, and puts each into its bucket, from the last on: so they stay in order. */
int postings_seal(Postings *p)
{
    p->bits = BITS_MIN;
    while (p->bits < BITS_MAX && (size_t) BUCKET_FILLED << p->bits < p->n)
        p->bits++;
    size_t buckets = (size_t) 1 << p->bits;
    p->at = calloc(buckets + 1, sizeof(*p->at));
    p->numbers = calloc(p->n + 1, sizeof(*p->numbers));
    if (!p->at || !p->numbers) {
        free(p->at);
        free(p->numbers);
        p->at = p->numbers = NULL;
        return -ENOMEM;
    }
    for (size_t i = 0; i < p->n; i++)
        p->at[bucket_of(p, p->pairs[i].key)]++;
    for (size_t b = 0; b < buckets; b++)
        p->at[b + 1] += p->at[b];
    for (size_t i = p->n; i-- > 0;)
        p->numbers[--p->at[bucket_of(p, p->pairs[i].key)]] = p->pairs[i].number;
    free(p->pairs);
    p->pairs = NULL;
    p->cap = 0;
    return 0;
}

size_t postings_find(const Postings *p, uint32_t key, const uint32_t **ret)
{
    size_t b = bucket_of(p, key);

    *ret = p->numbers + p->at[b];
    return p->at[b + 1] - p->at[b];
}

/* SPDX-License-Identifier: MIT */
/* All bans of the community in memory, so that they are known while the database is away and found in microseconds. It only
 * preselects: what belongs to what was typed is decided by verdict.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

typedef struct BanIndex BanIndex;

typedef struct Ban {
    char *id, *data; /* data: the row's JSON text, as the cloud wrote it */
    bool unconfirmed;
} Ban;

BanIndex *ban_index_new(void);
BanIndex *ban_index_free(BanIndex *index);
DEFINE_CLEANUP(BanIndex, ban_index_free)

/* `data` is the row's JSON text (members name, plate, document, until); copied. -EBADMSG when it is none: the caller keeps
 * the index that it has. */
int ban_index_add(BanIndex *index, const char *id, const char *data, bool unconfirmed) _must_check_;
/* Makes searches quick, for those that were added before; what is found stays the same. -ENOMEM. */
int ban_index_seal(BanIndex *index) _must_check_;
size_t ban_index_count(const BanIndex *index);
/* The same for the same bans in the same order. */
uint64_t ban_index_tag(const BanIndex *index);
const Ban *ban_index_at(const BanIndex *index, size_t i);

/* Calls back for every ban that may belong to somebody of this name, plate, document; each may be NULL. Never leaves out
 * one that match_plates() or match_names() would call exact, prefix or near; those that fit exactly come first. A negative
 * result of `found` ends the search and is returned. -ENOMEM. */
typedef int (*ban_found_t)(const Ban *ban, void *userdata);
int ban_index_search(const BanIndex *index, const char *name, const char *plate, const char *document,
                     ban_found_t found, void *userdata) _must_check_;

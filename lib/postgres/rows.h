/* SPDX-License-Identifier: MIT */
/* The rows of one answer of the database, all as text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

typedef struct StoreRows StoreRows;

size_t store_rows_count(const StoreRows *rows);
/* NULL for SQL null and for rows that are not there; borrowed. */
const char *store_rows_get(const StoreRows *rows, size_t row, unsigned column);
/* Whether it is SQL's true. */
bool store_rows_true(const StoreRows *rows, size_t row, unsigned column);
/* 0, or -EBADMSG when it is null or no number up to max. */
int store_rows_u64(const StoreRows *rows, size_t row, unsigned column, uint64_t max, uint64_t *ret) _must_check_;
/* A new string; NULL stays NULL. 0 or -ENOMEM. */
int store_rows_copy(const StoreRows *rows, size_t row, unsigned column, char **ret) _must_check_;

StoreRows *store_rows_free(StoreRows *rows);
DEFINE_CLEANUP(StoreRows, store_rows_free)

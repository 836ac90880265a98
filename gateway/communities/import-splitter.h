/* SPDX-License-Identifier: MIT */
/* Cuts a file that comes in pieces into parts of whole records, each of which can be read by itself. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

#define IMPORT_PART_SIZE ((size_t) 512 * 1024) /* about */

typedef struct ImportSplitter {
    bool csv;                     /* else one record a line */
    Buf head;                     /* a CSV file's first line, which goes in front of each part */
    Buf rest;                     /* what was not taken yet */
    size_t at;                    /* how far that was looked at */
    size_t end;                   /* of its last whole record */
    uint64_t line;                /* of what is taken next, in the whole file */
    uint64_t lines, lines_to_end; /* line ends up to `at`, and up to `end` */
    bool in_quotes;
} ImportSplitter;

ImportSplitter import_splitter_make(bool csv);
void import_splitter_done(ImportSplitter *s);
/* -EMSGSIZE, import.record-too-large: a record is longer than any row may be. */
int import_splitter_add(ImportSplitter *s, const char *data, size_t len, Error *err) _must_check_;
bool import_splitter_is_full(const ImportSplitter *s);
bool import_splitter_is_empty(const ImportSplitter *s);
/* The next part: all whole records, or at the file's end all that is left. A new string, and the line of its first row. */
int import_splitter_take(ImportSplitter *s, bool at_end, char **ret, size_t *ret_len, uint64_t *ret_line) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Where the relative sources of mounts lie on a box. Only what is directly in base_dir can be mounted, because every folder above
 * a source has to be root's, so "./a/b" becomes "a+b" there. */
#pragma once

#include "compose/normalise/normalise.h"

/* One relative source of the file: clean, without "./" in front. */
typedef struct DataFolder {
    char *written;
    bool moved;      /* what is "a/b" in the file is "a+b" on the box */
    bool travelled;  /* it came with the file, and is none of the box's folders */
    bool is_written; /* by the service that mounts it */
} DataFolder;

/* All of a file so far. */
struct DataFolders {
    DataFolder *items;
    size_t n;
};

void data_folders_done(DataFolders *f);

/* `*source` is base_dir joined with a relative source; it gets the place on the box, unless the options' is_nested() says that it
 * lies where it is. compose.bad-value when one relative source lies in another one and would not any more, when two would be
 * one, and when the name is too long. */
int take_data_folder(const Place *at, const Normaliser *n, const char *service, bool read_only,
                     char **source) _must_check_;

/* A source that came with the file. compose.bad-value when it is a folder of which a service writes to something: then it did not
 * come as a whole. */
int note_travelled(const Place *at, const Normaliser *n, const char *source) _must_check_;

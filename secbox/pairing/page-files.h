/* SPDX-License-Identifier: MIT */
/* The pairing page's files, which are part of the program: secbox/pairing/app/. */
#pragma once

#include <stddef.h>

typedef struct PageFile {
    const char *path; /* in URLs; the page itself is "/" */
    const char *type; /* media type */
    const unsigned char *data;
    const unsigned char *end;
} PageFile;

/* NULL: there is no such file. */
const PageFile *page_file_find(const char *path);

/* SPDX-License-Identifier: MIT */
/* The guards' app, which is part of the program: secbox/lan/app/. */
#pragma once

#include <stddef.h>

#include "lib/data/digest.h"

typedef struct AppFile {
    const char *path; /* in URLs: "/verdict.mjs"; the start page is "/" */
    const char *type; /* media type */
    const unsigned char *data;
    const unsigned char *end;
} AppFile;

extern const AppFile app_files[]; /* ends with {} */

/* NULL: there is no such file. */
const AppFile *app_file_find(const char *path);
static inline size_t app_file_size(const AppFile *f)
{
    return (size_t) (f->end - f->data);
}

/* SPDX-License-Identifier: MIT */
/* Reads NAME=value text into the members of a struct, by a table. Small, and judges only the keys that it knows: for
 * programs that must start although other parts of the file are damaged. Files that people write are read by env/. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define SETTINGS_MAX 64

typedef struct Setting {
    const char *key;
    size_t offset;        /* of the member: a char * (owned, NULL when not set), or a uint64_t where there is a max */
    const char *fallback; /* NULL = not set */
    uint64_t min, max;
} Setting;

#define SETTING_TEXT(Struct, key, member, fallback)                                                                    \
    {                                                                                                                  \
        key, offsetof(Struct, member), fallback, 0, 0                                                                  \
    }
#define SETTING_NUMBER(Struct, key, member, fallback, min, max)                                                        \
    {                                                                                                                  \
        key, offsetof(Struct, member), fallback, min, max                                                              \
    }

/* Tables end with {}. All members at their defaults; -ENOMEM. */
int settings_init(const Setting *table, void *values) _must_check_;
/* Frees the texts, as secrets are. */
void settings_done(const Setting *table, void *values);

/* Takes the known keys out of a text: NAME=value lines; blank lines, lines that start with #, and all others are
 * skipped, since they may be meant for another program. An empty value unsets. Errors: settings.value (file, line, key;
 * never the value), settings.duplicate, settings.too-large. */
int settings_parse(const Setting *table, void *values, const char *text, size_t len, const char *file,
                   Error *err) _must_check_;

/* Text that settings_parse() reads back: a secret. A new string, NULL when out of memory. */
char *settings_print(const Setting *table, const void *values);

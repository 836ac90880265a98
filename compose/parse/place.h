/* SPDX-License-Identifier: MIT */
/* Where in a compose file a value stands: a chain from the value up to the top, written as text only when there is an
 * error to report. */
#pragma once

#include "lib/base/error.h"
#include "lib/data/yaml.h"

typedef struct Place Place;
struct Place {
    const struct Place *parent; /* NULL at the top */
    const char *file;
    const YamlNode *node; /* the value */
    const char *key;      /* its key, NULL for a list item (then index counts) or at the top */
    size_t index;
    Error *err;
};

Place place_top(const char *file, const YamlNode *root, Error *err);
/* A member (by its own key) or item of the parent's value. */
Place place_child(const Place *parent, size_t index);
/* The member with this key; its node is NULL when there is none. */
Place place_member(const Place *parent, const char *key);

/* "services.web.ports[0]"; a new string, NULL at the top or when out of memory. */
char *place_format(const Place *at);
unsigned place_line(const Place *at);

/* error_set_at() with file, line and key path of the place. Returns -code. */
int place_fail(const Place *at, int code, const char *id, const char *fmt, ...) _printf_(4, 5);

/* SPDX-License-Identifier: MIT */
/* The ways into a box, in the order in which they are tried. Pure. */
#pragma once

#include <stddef.h>

#include "gateway/devices/device-registry.h"
#include "lib/base/error.h"

#define WAYS_MAX 3

typedef struct Way {
    Role role;
    const char *name;  /* on the wire */
    const char *title; /* in sentences */
} Way;

/* "auto" or NULL: all, in order; else the one named. "bridge.way" for anything else. */
int ways_parse(const char *text, Way ret[static WAYS_MAX], size_t *ret_n, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The routes into a box, in the order in which they are tried. Pure. */
#pragma once

#include <stddef.h>

#include "gateway/auth/device-registry.h"
#include "lib/base/error.h"

#define ACCESS_ROUTES_MAX 3

typedef struct AccessRoute {
    Role role;
    const char *name;  /* on the wire */
    const char *title; /* in sentences */
} AccessRoute;

/* "auto" or NULL: all, in order; else the one named. "bridge.way" for anything else. */
int access_routes_parse(const char *text, AccessRoute ret[static ACCESS_ROUTES_MAX], size_t *ret_n,
                        Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Which faces of ours Frigate knows, beside which it should. Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/data/digest.h"
#include "secbox/cameras/face-name.h"

#define FACES_MAX 1000

typedef struct FaceEntry {
    char name[FACE_NAME_SIZE], sha256[SHA256_HEX_SIZE];
    bool refused;   /* Frigate finds no face in its picture */
    unsigned tries; /* how often its picture was asked for */
} FaceEntry;

/* Of Frigate's answer to GET /api/faces what is ours: {NAME: [FILE, …]}, a new object. faces.bad-answer. */
int face_list_parse(const char *text, size_t len, cJSON **ret, Error *err) _must_check_;
/* A name in the list that nobody wants, NULL: none; and of the wanted ones that are not in it and were not refused the first of
 * those that were tried least often, NULL: none. So one that goes wrong each time keeps none back. */
const cJSON *face_list_find_extra(const cJSON *list, const FaceEntry *wanted, size_t n);
FaceEntry *face_list_find_missing(const cJSON *list, FaceEntry *wanted, size_t n);

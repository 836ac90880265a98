/* SPDX-License-Identifier: MIT */
/* What counts of Frigate's answer to a request for a recording. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/http/client.h"

#define CONTENT_RANGE_SIZE 64

typedef struct FrigateAnswer {
    int status; /* 200, 206 */
    bool has_length, ranges;
    uint64_t length;
    char content_range[CONTENT_RANGE_SIZE]; /* of a 206; "": none that is sound */
} FrigateAnswer;

/* Whether there is something to pass on. */
bool frigate_answer_read(const HttpResponse *head, FrigateAnswer *ret);
/* What is said where there is not; Frigate's own words are not passed on. status 0: it did not answer, r and why say how. Errors:
 * camera.frigate, media.none, media.range, media.frigate. */
int frigate_answer_judge(int status, int r, const Error *why, Error *err);

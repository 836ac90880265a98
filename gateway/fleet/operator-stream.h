/* SPDX-License-Identifier: MIT */
/* One stream through the gateway to a box, copied from and to descriptors, which goes on over a lost connection. Everything for
 * people goes to stderr. */
#pragma once

#include "gateway/fleet/fleet.h"
#include "lib/data/json.h"

typedef struct OperatorStreamOptions OperatorStreamOptions;

struct OperatorStreamOptions {
    Fleet *fleet; /* begun */
    const char *device;
    const cJSON *open; /* what is asked for: target, … */
    int in, out;       /* taken */
    bool ends_with_child;
    /* may be NULL; false ends the stream before anything of it was passed on */
    bool (*on_open)(const OperatorStreamOptions *options, const cJSON *progress);
    bool *left;                               /* set when it ended by a signal; may be NULL */
    const char *(*advice)(const char *error); /* what to type against an error, or NULL; may be NULL */
};

/* To the end of the stream, or until a signal: hang-up, interrupt, termination. The exit code. */
int operator_stream_run(const OperatorStreamOptions *options);
/* A line for the person. */
void operator_stream_say(const char *text);

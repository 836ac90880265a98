/* SPDX-License-Identifier: MIT */
/* Which tunnel people come in by on this box, and whether it works, by the gateway's word. Pure. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"
#include "recovery-agent/deployed.h"
#include "recovery-agent/verdict.h"

typedef struct MainWay {
    const char *name; /* of the tunnel that is judged: a constant, or NULL before the first word */
    bool silent;      /* it is connected, but does not answer */
    usec_t offline_since;
} MainWay;

typedef struct MainWayInput {
    const cJSON *result;  /* probe.result */
    Deployed deployed;    /* whether the container is that holds the device tunnel */
    bool had_device;      /* ever */
    usec_t now, up_since; /* the latter: of our own tunnel; 0 = down */
    usec_t patience;      /* for a tunnel that is offline */
} MainWayInput;

/* Whether the device tunnel answered. */
bool main_way_has_device(const cJSON *result);
CheckResult main_way_judge(MainWay *w, const MainWayInput *in);

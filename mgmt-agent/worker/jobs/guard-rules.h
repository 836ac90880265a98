/* SPDX-License-Identifier: MIT */
/* When the guard steps in. Pure: it decides from what the journal says, and from whether anybody works on the change. */
#pragma once

#include <stdbool.h>

#include "mgmt-agent/state/journal.h"

/* mgmt-agent first: its watchdog ends it within 30 s when it hangs, and systemd starts it again. */
#define GUARD_LATE_USEC (30 * USEC_PER_SEC)
/* Nobody has worked on the change for so long, and it is not one that waits: more than the agent's pause between two tries. */
#define GUARD_STALLED_USEC (60 * USEC_PER_SEC)

typedef enum GuardStep {
    GUARD_OVER,    /* nothing is under way: the guard ends */
    GUARD_WAIT,    /* somebody works on it, or has time left */
    GUARD_RENEW,   /* the confirmation's time begins anew: confirm_deadline_renew() */
    GUARD_COMMIT,  /* it is confirmed */
    GUARD_UNDO,    /* it was not confirmed in time */
    GUARD_RECOVER, /* it was left half-made */
} GuardStep;

typedef struct GuardView {
    DeployState state;
    unsigned tries;
    bool locked;    /* somebody works on it now */
    bool stale;     /* confirm_deadline_is_stale() */
    bool confirmed; /* change_is_confirmed() */
    unsigned pace;  /* divides the two times above; tests are in a hurry */
    usec_t deadline;
    usec_t now; /* CLOCK_BOOTTIME, as all times here */
} GuardView;

/* What the guard remembers between two looks; {} at first. */
typedef struct GuardWatch {
    bool watching;
    DeployState state;
    unsigned tries;
    usec_t since; /* nobody has worked on it, and the journal has not changed */
} GuardWatch;

GuardStep guard_next(GuardWatch *w, const GuardView *v);

/* SPDX-License-Identifier: MIT */
/* The states of one deployment and the events that move it, as a pure table. docs/states.md shows it. */
#pragma once

#include <errno.h>

typedef enum DeployState {
    DEPLOY_IDLE,         /* nothing under way; what the last journal says is final */
    DEPLOY_PREPARING,    /* verify … pull: no container has been touched */
    DEPLOY_APPLYING,     /* old containers are being stopped and renamed, new ones made */
    DEPLOY_PROVING,      /* new containers run and are being asked */
    DEPLOY_CONFIRMING,   /* proved here; waiting for the cloud on a new connection */
    DEPLOY_COMMITTING,   /* final: old containers are being removed */
    DEPLOY_ROLLING_BACK, /* new containers are being removed, old ones brought back */
    DEPLOY_RECOVERY,     /* the rollback itself failed: everything is left as it is */
    _DEPLOY_STATE_MAX,
    _DEPLOY_STATE_INVALID = -EINVAL,
} DeployState;

typedef enum DeployEvent {
    EVENT_START,   /* a snapshot was accepted */
    EVENT_READY,   /* prepared, and there is something to change */
    EVENT_NOTHING, /* prepared, and all runs as wanted already */
    EVENT_APPLIED,
    EVENT_PROVED,   /* and the cloud has to confirm */
    EVENT_ACCEPTED, /* proved, and nobody has to confirm (applied on the box) */
    EVENT_CONFIRMED,
    EVENT_DEADLINE, /* no confirmation in time */
    EVENT_FAILED,
    EVENT_FINISHED,  /* commit or rollback is complete and was checked */
    EVENT_RESTARTED, /* the program was started again and found this state on disk */
    _DEPLOY_EVENT_MAX,
} DeployEvent;

/* The next state, or -EPROTO when the event is not legal here. */
int deploy_next(DeployState s, DeployEvent ev);

extern const char *const deploy_state_names[]; /* ends with NULL */
const char *deploy_state_to_string(DeployState s);
const char *deploy_event_to_string(DeployEvent ev);

/* SPDX-License-Identifier: MIT */
/* Transitions are data. A cell that is 0 is not legal: no state leads to DEPLOY_IDLE by accident, since idle is written
 * as TO_IDLE. */

#include "mgmt-agent/state/deploy-state.h"

#include "lib/base/mem.h"

#define TO_IDLE 100

static const int transitions[_DEPLOY_STATE_MAX][_DEPLOY_EVENT_MAX] = {
    [DEPLOY_IDLE] = { [EVENT_START] = DEPLOY_PREPARING },
    [DEPLOY_PREPARING] = { [EVENT_READY] = DEPLOY_APPLYING,
                           [EVENT_NOTHING] = DEPLOY_COMMITTING,
                           [EVENT_FAILED] = TO_IDLE,
                           [EVENT_RESTARTED] = TO_IDLE },
    [DEPLOY_APPLYING] = { [EVENT_APPLIED] = DEPLOY_PROVING,
                          [EVENT_FAILED] = DEPLOY_ROLLING_BACK,
                          [EVENT_RESTARTED] = DEPLOY_ROLLING_BACK },
    [DEPLOY_PROVING] = { [EVENT_PROVED] = DEPLOY_CONFIRMING,
                         [EVENT_ACCEPTED] = DEPLOY_COMMITTING,
                         [EVENT_FAILED] = DEPLOY_ROLLING_BACK,
                         [EVENT_RESTARTED] = DEPLOY_ROLLING_BACK },
    [DEPLOY_CONFIRMING] = { [EVENT_CONFIRMED] = DEPLOY_COMMITTING,
                            [EVENT_DEADLINE] = DEPLOY_ROLLING_BACK,
                            [EVENT_RESTARTED] = DEPLOY_CONFIRMING },
    [DEPLOY_COMMITTING] = { [EVENT_FINISHED] = TO_IDLE, [EVENT_RESTARTED] = DEPLOY_COMMITTING },
    [DEPLOY_ROLLING_BACK] = { [EVENT_FINISHED] = TO_IDLE,
                              [EVENT_FAILED] = DEPLOY_RECOVERY,
                              [EVENT_RESTARTED] = DEPLOY_ROLLING_BACK },
    /* a new snapshot may mend what the rollback could not */
    [DEPLOY_RECOVERY] = { [EVENT_START] = DEPLOY_PREPARING, [EVENT_RESTARTED] = DEPLOY_RECOVERY },
};

int deploy_next(DeployState s, DeployEvent ev)
{
    int next;

    if (s < 0 || s >= _DEPLOY_STATE_MAX || ev < 0 || ev >= _DEPLOY_EVENT_MAX)
        return -EPROTO;
    next = transitions[s][ev];
    if (next == 0)
        return -EPROTO;
    return next == TO_IDLE ? DEPLOY_IDLE : next;
}

const char *const deploy_state_names[_DEPLOY_STATE_MAX + 1] = {
    [DEPLOY_IDLE] = "idle",
    [DEPLOY_PREPARING] = "preparing",
    [DEPLOY_APPLYING] = "applying",
    [DEPLOY_PROVING] = "proving",
    [DEPLOY_CONFIRMING] = "confirming",
    [DEPLOY_COMMITTING] = "committing",
    [DEPLOY_ROLLING_BACK] = "rolling-back",
    [DEPLOY_RECOVERY] = "recovery",
};

const char *deploy_state_to_string(DeployState s)
{
    return s >= 0 && s < _DEPLOY_STATE_MAX ? deploy_state_names[s] : "invalid";
}

const char *deploy_event_to_string(DeployEvent ev)
{
    static const char *const names[_DEPLOY_EVENT_MAX] = {
        [EVENT_START] = "start",         [EVENT_READY] = "ready",         [EVENT_NOTHING] = "nothing",
        [EVENT_APPLIED] = "applied",     [EVENT_PROVED] = "proved",       [EVENT_ACCEPTED] = "accepted",
        [EVENT_CONFIRMED] = "confirmed", [EVENT_DEADLINE] = "deadline",   [EVENT_FAILED] = "failed",
        [EVENT_FINISHED] = "finished",   [EVENT_RESTARTED] = "restarted",
    };

    return ev >= 0 && ev < _DEPLOY_EVENT_MAX ? names[ev] : "invalid";
}

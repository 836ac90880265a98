/* SPDX-License-Identifier: MIT */
/* Rollouts, and the boxes in them. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

typedef struct NewRollout {
    const char *id;
    const char *image, *digest, *service; /* an update; image NULL: another kind; service may be NULL */
    const char *compose, *sha256;         /* "" for an update */
    const char *target;   /* the version of the agents' packages, or, with a digest, of a release; NULL: neither */
    const char *envelope; /* what an operator has signed, as JSON; or NULL */
    const char *project;  /* that the compose file is of; NULL: the boxes' own */
    const char *labels;   /* which boxes were asked for; a JSON object */
    const char *groups;   /* names; a JSON array */
    const char *boxes;    /* [{device, position, group}, …] */
    const char *devices;  /* the same boxes as {a,b} */
    unsigned halt_at;
    uint64_t soak_seconds, parallel, offline_after, confirm_deadline;
    unsigned open_max; /* so many rollouts may be open, this one counted in */
    const char *actor, *reason;
} NewRollout;

/* Stores it with its boxes. A box that still waits for an earlier, finished rollout of the same gets this one instead.
 * 0 id, NULL when it was not stored; 1 then the rollout of the same that is still open for some of the boxes, NULL when
 * there are too many. */
Statement sql_rollout_add(const NewRollout *n);

/* 0 {"rollouts": […]}, newest first. `labels`: only those of which each box has them. */
Statement sql_rollouts(uint64_t limit, const char *labels);
/* 0 {"rollout", "mark"}, 1 the mark, which changes with it. */
Statement sql_rollout(const char *id);

/* What somebody does to it. */
typedef struct RolloutChange {
    const char *id;
    const char *states_before; /* in which it is possible: {a,b} */
    const char *state;         /* the one after it */
    const char *actor, *action;
    bool forgive;  /* the failures so far no longer count */
    bool finished; /* for good */
} RolloutChange;

/* 0 the state that it was in, 1 whether it was changed; no row: no such rollout. */
Statement sql_rollout_change(const RolloutChange *c);

/* What the gateway decides. */
typedef struct RolloutStep {
    const char *id;
    const char *state_before, *state;
    size_t group_before;
    bool next_group, soaks, finished;
    const char *halted; /* why, JSON; NULL: it is not */
    const char *action, *detail;
} RolloutStep;

/* No row: the rollout is no longer in the state that the step starts from. */
Statement sql_rollout_step(const RolloutStep *s);
/* 0 device: of those that waited and are now known to be away. `devices` as {a,b}. */
Statement sql_rollout_boxes_away(const char *rollout, const char *devices);
/* 0 device: when it had not had its turn. */
Statement sql_rollout_box_skip(const char *rollout, const char *device, const char *error);

/* A rollout that is open, or that boxes which were away still wait for. */
typedef struct RolloutRow {
    const char *id, *image, *digest, *service, *compose, *groups, *state, *target,
        *project; /* borrowed; image, digest, service, target, project may be NULL */
    bool update, is_signed;
    uint64_t halt_at, parallel, soak_seconds, offline_after, confirm_deadline, group, forgiven;
    uint64_t soaked; /* seconds */
} RolloutRow;

/* 0 digest: of images that a rollout has halted with, newest first, until it is resumed or a later one begins with the same.
 * Giving it up sets nothing free. */
Statement sql_rollouts_halted(void);
/* In the order of their beginning. */
Statement sql_rollouts_open(void);
/* 0 or -EBADMSG. */
int rollout_row(const StoreRows *rows, size_t row, RolloutRow *ret) _must_check_;
/* 0 rollout, 1 device, 2 group, 3 state: the rows of a rollout stand together, in the order of the boxes' turns. */
Statement sql_rollout_boxes(void);

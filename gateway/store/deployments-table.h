/* SPDX-License-Identifier: MIT */
/* Deployments and their events. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

typedef enum DeploymentKind {
    DEPLOYMENT_COMPOSE,  /* a compose file */
    DEPLOYMENT_UPDATE,   /* a new image for what runs */
    DEPLOYMENT_ROLLBACK, /* to a snapshot that the box keeps */
    DEPLOYMENT_AGENT,    /* the packages that look after the box, to another version */
    DEPLOYMENT_RELEASE,  /* an archive of the data plane, for a box without containers */
} DeploymentKind;

/* 0 {"deployment", "result"}, 1 its status when it has ended. */
Statement sql_deployment(const char *device, uint64_t version);
/* The audit log's entries of changes that were made at the box. */
#define LOCAL_RESULT_ACTION "compose.result-local"

/* 0 {"deployments": […]} of this project (NULL: the box's own), those that were made at the box, too, newest first; 1 whether there
 * is such a device. */
Statement sql_deployments(const char *device, const char *project, uint64_t limit);
/* 0 {"deployment", "result", "events"}: events with a `seq` above `after`; 1 its state, 2 whether there are no such events. */
Statement sql_deployment_events(const char *device, uint64_t version, int64_t after);

/* One that is open. */
typedef struct OpenDeploymentRow {
    const char *device, *id, *nonce, *rollout; /* borrowed; rollout may be NULL */
    uint64_t version;
    unsigned confirm_deadline;
    bool progressed;
    DeploymentKind kind;
    uint64_t silent; /* seconds since the box's last word, or since it was stored */
} OpenDeploymentRow;

Statement sql_deployments_open(void);
/* 0 or -EBADMSG. */
int open_deployment_row(const StoreRows *rows, size_t row, OpenDeploymentRow *ret) _must_check_;
/* What an open one brings: 0 compose, 1 image, 2 digest (of the image, or of the files), 3 service, 4 target, 5 envelope,
 * 6 project. */
Statement sql_deployment_content(const char *id);

/* 0 whether the box, by its last report, has this project deployed beside its own; 1 the compose file that the box's own project
 * runs, as far as it came from here; NULL;
 * 2 whether there is such a box. */
Statement sql_project_facts(const char *device, const char *project);

/* 0 whether one of the box's has these files. */
Statement sql_deployment_has_bundle(const char *device, const char *digest);

/* 0 the digest of the files of each push, rollout and template that may still be sent to a box. */
Statement sql_bundles_wanted(void);

typedef struct NewDeployment {
    const char *device, *id, *nonce;
    uint64_t version_floor; /* its version is above this */
    DeploymentKind kind;
    const char *digest;           /* of the files that a compose file comes with; NULL: none; of a release's archive */
    const char *compose, *sha256; /* "" of what is not a compose file */
    const char *target; /* of a rollback: the snapshot to go back to; NULL: as the box decides; else the version */
    const char *actor, *reason; /* reason may be NULL */
    const char *envelope;       /* what an operator has signed, as JSON; or NULL */
    const char *project;        /* NULL: the box's own */
    unsigned confirm_deadline;
} NewDeployment;

/* 0 version: none when the box has another one open. */
Statement sql_deployment_add(const NewDeployment *d);

/* A box's turn in its rollout and the deployment that it gets are one transaction: whatever is killed when, no box gets its
 * turn twice. A box that has another one open makes the statement fail as a whole. Only device, id, nonce and
 * version_floor are read. 0 version, 1 envelope: none when it is not the box's turn. */
Statement sql_deployment_add_turn(const NewDeployment *d, const char *rollout);

/* `events`: a JSON array; what is there already stays. */
Statement sql_deployment_progress(const char *device, uint64_t version, const char *events, const char *phase);

typedef struct DeploymentEnd {
    const char *device, *id;
    const char *actor; /* whose word it is */
    const char *state, *phase;
    unsigned status;
    const char *result; /* JSON */
    const char *error;  /* its id in there; NULL: none */
    bool alarm;
    /* for a rollout's: what becomes of the box in it, where it is in one of these states ("{a,b}") … */
    const char *box_state, *box_states_before;
    /* … or this instead, when it has had so many turns */
    const char *box_state_at_limit;
    unsigned attempts_max;
} DeploymentEnd;

typedef struct DeploymentEndRow {
    const char *version; /* NULL: it had ended before */
    bool known;
    const char *rollout, *box_state; /* NULL: no rollout's box has changed */
} DeploymentEndRow;

Statement sql_deployment_end(const DeploymentEnd *e);
/* Borrows from rows. */
DeploymentEndRow deployment_end_row(const StoreRows *rows);

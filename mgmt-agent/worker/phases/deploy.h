/* SPDX-License-Identifier: MIT */
/* One deployment from message to proof, as one worker process does it: linear code that may block, with a deadline on
 * every step and a journal that lets the next process finish or undo it. The agent's loop never waits for podman. */
#pragma once

#include <stdbool.h>

#include "compose/compose.h"
#include "compose/plan/plan.h"
#include "compose/policy/policy.h"
#include "lib/base/map.h"
#include "lib/base/paths.h"
#include "lib/data/seal.h"
#include "mgmt-agent/state/bundle-store.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/worker/phases/box.h"
#include "mgmt-agent/worker/phases/report.h"

typedef struct WorkerOptions {
    const char *podman_compose; /* NULL = the usual paths */
    usec_t settle_usec;         /* how long a new container must stay up */
    usec_t pull_timeout_usec;
    unsigned parallel; /* containers that are made at the same time */
    unsigned pace;     /* divides the guard's periods */
} WorkerOptions;

/* What was asked. */
typedef struct DeployOrder {
    char *text, *sha256, *nonce;
    char *bundle;     /* the digest of the files that come with it; NULL: none do */
    char *bundle_key; /* with which its secrets are sealed, wrapped for this box; or NULL */
    bool from_cloud;
    bool goes_back; /* to a snapshot that this box ran before */
    usec_t confirm_usec;
    /* limits, of what is no push; NULL otherwise */
    char **only;  /* the services that may change */
    char **again; /* of them, those that are made anew although nothing about them changes */
} DeployOrder;

/* What the order comes to on this box. */
typedef struct DeployTarget {
    EnvFile *env;
    ComposeFile *file;
    ComposePolicy *policy;
    ComposeProject *project;
    KeptBundle *bundle; /* the files that came with it; NULL: none did */
    uint8_t seal_key[SEAL_KEY_SIZE];
    bool has_seal_key; /* its secrets are sealed with that */
    gid_t files_gid;   /* who may enter the folder in which containers' copies of them are */
    Map *made;         /* path → MadeFile: what the box itself writes for containers to mount */
    Map *bind_targets; /* source that is a link → what it leads to */
    Map *image_ids;    /* service → image id */
} DeployTarget;

/* What is there already: as it was remembered, and as podman shows it. */
typedef struct DeployPast {
    Current *current; /* NULL: not known, or nothing was ever committed */
    ComposeProject *project;
    ObservedContainer *observed;
    size_t n_observed;
} DeployPast;

typedef struct DeployProof {
    Map *inspections; /* service → its container's last inspection (cJSON) while proving; NULL before that */
    char *failed_log; /* the last lines of the container that was not proved */
} DeployProof;

typedef struct Deploy {
    const WorkerOptions *options;
    Report report;
    DeployOrder order;
    Box box;
    DeployTarget target;
    DeployPast before;
    Plan *plan; /* from one to the other */
    DeployProof proof;
    Journal journal;
    bool by_guard; /* not by mgmt-agent */
} Deploy;

void deploy_done(Deploy *d);

/* What every job with a message takes from its request. *ret_message is borrowed from it. */
int deploy_take_message(Deploy *d, const cJSON *request, const cJSON **ret_message) _must_check_;

/* What a snapshot has beside its text: names its files, whose digest `order` gets. */
int deploy_take_bundle(DeployOrder *order, const cJSON *snapshot, Error *err) _must_check_;

/* The journaled step that makes this service's new container; NULL when the service is kept as it is. */
const JournalStep *deploy_change_of(const Journal *j, const char *service);

/* Names that keep an image from a prune. */
#define KEEP_REPOSITORY "localhost/tucomunidad-keep"

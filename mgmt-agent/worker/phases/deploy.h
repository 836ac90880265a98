/* SPDX-License-Identifier: MIT */
/* One deployment from message to proof, as one worker process does it: linear code that may block, with a deadline on
 * every step and a journal that lets the next process finish or undo it. The agent's loop never waits for podman. */
#pragma once

#include <stdbool.h>

#include "compose/compose.h"
#include "compose/plan/plan.h"
#include "compose/policy/policy.h"
#include "env/env-file.h"
#include "lib/base/map.h"
#include "lib/base/paths.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/worker/podman/podman-compose.h"
#include "mgmt-agent/worker/podman/podman.h"

typedef struct WorkerOptions {
    const char *project;        /* compose project name */
    const char *podman_compose; /* NULL = the usual paths */
    usec_t settle_usec;         /* how long a new container must stay up */
    usec_t pull_timeout_usec;
    unsigned parallel; /* podman-compose runs at the same time */
} WorkerOptions;

typedef struct Deploy {
    const WorkerOptions *options;

    /* from the message */
    char *id, *version, *text, *sha256, *nonce;
    bool from_cloud;
    usec_t confirm_usec;

    /* limits, of what is no push; NULL otherwise */
    char **only;  /* the services that may change */
    char **again; /* of them, those that are made anew although nothing about them changes */

    /* what the phases found, in their order */
    const char *phase;
    unsigned seq;
    EnvFile *agent_env, *env;
    PodmanUser user;
    ComposeFile *file;
    ComposePolicy *policy;
    ComposeProject *project, *previous;
    cJSON *current; /* store_load_current() */
    Podman *podman;
    Driver driver;
    bool goes_back;    /* to a snapshot that this box ran before */
    Map *bind_targets; /* source that is a link → what it leads to */
    Map *image_ids;    /* service → image id */
    char *failed_log;  /* the last lines of the container that was not proved */
    Map *proved;       /* service → its container's last inspection (cJSON) while proving; NULL before that */
    ObservedContainer *observed;
    size_t n_observed;
    Plan *plan;
    Journal journal;
} Deploy;

void deploy_done(Deploy *d);

/* What every job with a message takes from its request. *ret_message is borrowed from it. */
int deploy_take_message(Deploy *d, const cJSON *request, const cJSON **ret_message) _must_check_;

/* Tells what happens, as compose.progress on standard output. state: "started", "done", "failed", "info". */
void deploy_progress(Deploy *d, const char *state, const char *service, const char *fmt, ...) _printf_(4, 5);
/* Starts a phase: names it in what follows and reports it. */
void deploy_phase(Deploy *d, const char *phase);
/* Prints one message line. */
void deploy_emit(const cJSON *message);

/* check-file.c: verify, parse, policy, secbox-env-ensure, secbox-env-sanity, render. Nothing is touched. */
int deploy_verify(Deploy *d, const cJSON *message, Error *err) _must_check_;
/* The same of an order that carries no compose file. */
int deploy_verify_update(Deploy *d, const cJSON *message, Error *err) _must_check_;
int deploy_parse(Deploy *d, Error *err) _must_check_;
int deploy_policy(Deploy *d, Error *err) _must_check_;
int deploy_load_policy(Deploy *d, Error *err) _must_check_;
int deploy_env_ensure(Deploy *d, bool *ret_created, Error *err) _must_check_;
/* What deploy_env_ensure() would leave behind, in memory only: for plans. */
int deploy_env_plan(Deploy *d, Error *err) _must_check_;
int deploy_env_sanity(Deploy *d, Error *err) _must_check_;
int deploy_render(Deploy *d, Error *err) _must_check_;

/* preflight.c */
int deploy_preflight(Deploy *d, Error *err) _must_check_;
/* Opens podman and finds user and driver: what every job needs. */
int deploy_open_podman(Deploy *d, Error *err) _must_check_;
/* Observes and plans; for images that are not here yet a placeholder id stands in, so the service counts as changed. */
int deploy_make_plan(Deploy *d, Error *err) _must_check_;
/* Ids of all images that are here; *ret_missing says how many are not. */
int deploy_resolve_images(Deploy *d, size_t *ret_missing, Error *err) _must_check_;

/* What runs now as it was remembered, in d->current; NULL when it is not known. */
void deploy_load_current(Deploy *d);

/* binds.c: host paths that services mount. */
/* Whether they may: preflight.bind-missing, bind-link, bind-way, bind-overlap. Nothing is made. */
int deploy_check_binds(Deploy *d, Error *err) _must_check_;
/* Just before the service's new container is made: makes the folders that are ours to make, and checks again. */
int deploy_ready_binds(Deploy *d, const ComposeService *s, Error *err) _must_check_;
/* What podman gets for a source: what a link leads to, else the source. */
const char *deploy_bind_target(const Deploy *d, const char *source);
/* The folder where a service other than the main one shows its heartbeat. */
void deploy_make_run_folder(const Deploy *d, const char *service);

/* bind-alarms.c */
/* Writes down which mounts of the present containers are not safe, and tells the new ones. Never a failure. */
void deploy_review_binds(Deploy *d);
/* Before an old container is started again, by its inspection: bind.replaced when a link was put in the place of a source. */
int deploy_may_start(Deploy *d, const char *service, const cJSON *info, Error *err) _must_check_;

/* pull.c */
int deploy_pull(Deploy *d, Error *err) _must_check_;
/* Pulls one image, again when the connection broke: layers that are here already are not fetched a second time. The id is a
 * new string. Errors: pull.no-space (-ENOSPC), pull.failed, pull.timeout. */
int deploy_pull_image(Deploy *d, const char *service, const char *reference, const char *policy, char **ret,
                      Error *err) _must_check_;

/* stage.c: the files that podman-compose reads. */
int deploy_stage(Deploy *d, Error *err) _must_check_;
void deploy_unstage(Deploy *d);
char *deploy_stage_path(const char *service, const char *suffix);

/* by-hand-file.c */
#define BY_HAND_DIR STATE_DIR "/compose"
/* Writes BY_HAND_DIR/PROJECT.next; failing to is reported, and is no failure of the change. */
void deploy_write_by_hand(Deploy *d);
/* Puts it in effect, if it is there; or forgets it. */
void deploy_keep_by_hand(Deploy *d, const char *project);
void deploy_drop_by_hand(const char *project);

/* apply.c */
int deploy_apply(Deploy *d, Error *err) _must_check_;
/* The journaled step that makes this service's new container; NULL when the service is kept as it is. */
const JournalStep *deploy_change_of(const Deploy *d, const char *service);

/* prove.c */
int deploy_prove(Deploy *d, Error *err) _must_check_;
/* Waits until the service's container is healthy (or has ended well when `completed`). */
int deploy_wait_ready(Deploy *d, const ComposeService *s, bool completed, Error *err) _must_check_;
/* The container's log, when there is a reason to show it. */
void deploy_show_log(Deploy *d, const char *container, const char *service);

/* finish.c */
/* Removes old containers and makes the project current. Failing to remove one is reported, and is not a failure. */
int deploy_commit(Deploy *d, Error *err) _must_check_;
/* Brings the old containers back and checks that they run. */
int deploy_roll_back(Deploy *d, Error *err) _must_check_;
/* Waits for, then ends, what an earlier worker left running. */
void deploy_end_leftovers(void);

/* result.c */
/* HTTP-like status for a failure in a phase. */
int deploy_status_for(const char *phase, const Error *err);
/* Prints compose.result, of what was refused before the journal knew of it: not stored, the asker may send it again. */
void deploy_answer(Deploy *d, const char *outcome, int status, const Error *failure, int r);
/* Stores and prints compose.result, then leaves the journal by `last` (EVENT_FINISHED, EVENT_FAILED). */
int deploy_finish(Deploy *d, const char *outcome, int status, const Error *failure, int r, DeployEvent last);

/* boot-containers.c */
/* deploy_open_podman() for a job that goes on with what was: after a boot it waits for the podman user's service manager. */
int deploy_open_again(Deploy *d, Error *err) _must_check_;

/* current.c: what is committed, as JSON for the store. */
cJSON *current_from_deploy(const Deploy *d, Error *err);
/* The project that `current` describes, with what compose_plan() reads; NULL when there is none. */
ComposeProject *current_to_project(const cJSON *current);

/* image-sweep.c */
/* An image came that was not in `before` (podman_images()): it is ours to remove. */
void deploy_note_pulled(Deploy *d, const cJSON *before, const char *image_id, const char *reference);
/* What is committed, and what was before, run with these images; forgets snapshots that are gone. */
void deploy_note_snapshots(Deploy *d);
/* Adds the images of every snapshot that a rollback may return to. */
int deploy_keep_snapshot_images(Deploy *d, char ***keep) _must_check_;
/* `keep_new`: what this change was about is not to blame for how it ended, and may be tried again. */
void deploy_sweep_images(Deploy *d, bool keep_new);

#define KEEP_REPOSITORY "localhost/tucomunidad-keep"

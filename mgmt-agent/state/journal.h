/* SPDX-License-Identifier: MIT */
/* What must survive a crash: which deployment is under way, how far it is, and how to undo it. Written before it is
 * acted on. One file, replaced atomically. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/deploy-state.h"

/* Journal.kind; a push has none. */
#define KIND_UPDATE "update"
#define KIND_AGENT "agent"     /* of the packages that look after the box */
#define KIND_RELEASE "release" /* of the data plane without containers */
#define KIND_RECREATE "recreate"

/* Journal.taken_back_by */
#define TAKEN_BACK_BY_GUARD "change-guard"

/* How one container is undone. By id, since names move. */
typedef struct JournalStep {
    char *action; /* "create", "replace", "remove" */
    char *service;
    char *container; /* the name that the new one has */
    char *old_id;    /* replace, remove: the container to bring back */
    char *old_name;  /* the name that it had */
    char *backup;    /* the name that it has meanwhile */
    char *with;      /* the service whose change took it along; NULL: none did, or the agent was an older one */
    bool was_running;
    cJSON *rest;
} JournalStep;

/* Another image for one service. */
typedef struct ImageUpdate {
    char *service, *image; /* the name in the compose file */
    char *digest;          /* NULL: what the name means on this box */
    char *reference;       /* what is pulled; NULL as well */
    usec_t seen_at;        /* since when this box has known of it */
    char *image_id, *old_image_id;
    bool undo; /* somebody on the box takes back the image that runs: `reference` is the id of the one before */
    cJSON *rest;
} ImageUpdate;

/* Why a deployment is rolling back: an error, the phase in which it came up, and the last lines of the container that was not
 * proved. */
typedef struct JournalFailure {
    char *id, *message, *file, *key;
    unsigned line;
    char *phase, *log;
    cJSON *rest;
} JournalFailure;

typedef struct Journal {
    DeployState state;
    char *kind;         /* KIND_…; NULL for a push */
    bool cut_off;       /* there was no tunnel when it began: that there is none afterwards says nothing against it */
    bool by_connection; /* it is confirmed by the tunnel that comes up again, not by the cloud's word */
    char *project_name; /* NULL: the box's own (state/project.h) */
    char *id;           /* of the deployment, from the message */
    char *version;
    char *sha256;        /* of the compose text */
    char *nonce;         /* NULL when nobody has to confirm */
    unsigned tries;      /* how often this state was entered again after a restart */
    char *taken_back_by; /* TAKEN_BACK_BY_GUARD; NULL: mgmt-agent's own worker, or it was not taken back */
    unsigned seq;        /* of the last progress that was told, so that the next worker's numbers are higher */
    char *boot_id; /* deadline_usec counts on this boot's CLOCK_BOOTTIME; another boot gets the whole time again */
    usec_t deadline_usec;
    usec_t confirm_usec; /* how long the cloud has to confirm */
    usec_t started_realtime;
    JournalFailure *failure; /* NULL: it is not rolling back, or was interrupted */
    Current *project;        /* what becomes current when it is committed */
    ImageUpdate *updates;    /* an update's; NULL otherwise */
    size_t n_updates;
    JournalStep *steps;
    size_t n_steps;
    cJSON *rest;
} Journal;

/* A missing file gives an idle journal. A file that cannot be read or parsed is journal.corrupt: the caller goes into
 * recovery instead of guessing. */
int journal_load(Journal *ret, Error *err) _must_check_;
/* Gives a journal that cannot be read another name, so that its end is not the end of all deployments, and begins a new one
 * in DEPLOY_RECOVERY. */
int journal_set_aside(Error *err) _must_check_;
/* Durable when it returns. */
int journal_save(const Journal *j, Error *err) _must_check_;
/* The one place where the state changes: checks the transition, writes, then sets it. -EPROTO (journal.transition). */
int journal_step(Journal *j, DeployEvent ev, Error *err) _must_check_;
void journal_done(Journal *j);

/* Whether what is under way is of the project that is looked at. */
bool journal_is_of_selected(const Journal *j);

/* Copies the step's strings. */
int journal_add_step(Journal *j, const JournalStep *step) _must_check_;

/* Notes why it is rolling back, in place of what was noted before; `log` may be NULL. */
int journal_note_failure(Journal *j, const Error *err, int r, const char *phase, const char *log) _must_check_;
/* The error of the failure that is noted, which must be there; returns -EIO. */
int journal_failure_to_error(const Journal *j, Error *err);

/* One more update, all 0; NULL when out of memory. */
ImageUpdate *journal_add_update(Journal *j);
/* The update of this service, or NULL. */
ImageUpdate *journal_find_update(const Journal *j, const char *service);
/* As in compose.result; NULL when out of memory. */
cJSON *journal_updates_to_json(const Journal *j);

/* SPDX-License-Identifier: MIT */
/* What secboxctl's verbs share: the options of the command line and one connection to mgmt-agent. */
#pragma once

#include <stdbool.h>

#include "compose/gather/project-files.h"
#include "lib/data/project-name.h"
#include "lib/cli/cli.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/json.h"
#include "lib/data/order-signers.h"

#define PROGRAM "secboxctl"

typedef struct Secboxctl {
    const char *root;                          /* --root */
    const char *socket;                        /* --socket */
    const char *project;                       /* --project */
    char stated_project[PROJECT_NAME_MAX + 1]; /* what it is by the name that the file has, where that decides */
    const char *limit;                         /* --limit */
    const char *timeout;                       /* --timeout, seconds */
    const char *forget;                        /* --forget */
    const char *lock;                          /* --lock */
    const char *deadline;                      /* --deadline, seconds */
    bool show, yes;
    const char *since; /* --since */
    const char *tail;  /* --tail */
    char **files;      /* --file */
    char **profiles;   /* --profile */
    char **env_files;  /* --env-file */
    bool json, force, undo, unlock, follow;
    bool no_files, volumes;
} Secboxctl;

typedef struct AgentSocket AgentSocket;

/* Every verb's first line: the options in `userdata`, --root applied. */
Secboxctl *secboxctl_begin(void *userdata);

/* For what only root can see or do on a box. A box below --root, or a socket that is named, is whose it is. */
int secboxctl_need_root(const Secboxctl *ctl, Error *err) _must_check_;
/* The same, said: 0, or the verb's exit status. */
int secboxctl_fail_unless_root(const Secboxctl *ctl) _must_check_;

/* Connects to the agent's socket under --socket or --root. */
int secboxctl_connect(const Secboxctl *ctl, AgentSocket **ret, Error *err) _must_check_;

/* {"type", "id"} with a random id. */
cJSON *secboxctl_request(const char *type);

/* Without --project, that of project_of_file(), which the agent is asked for; says which, where the file has a name. */
int secboxctl_choose_project(Secboxctl *ctl, AgentSocket *agent, const Gathered *g, Error *err) _must_check_;
/* --project, in a request that may be NULL. */
int secboxctl_add_project(const Secboxctl *ctl, cJSON *request) _must_check_;

/* A verb of secbox's own socket, which has no members; *ret is the report. */
int secboxctl_ask_secbox(const char *verb, usec_t timeout, cJSON **ret, Error *err) _must_check_;

/* Gathers a compose file (path: a file, a folder, or NULL; and the options), with these env files, says which of their values it
 * uses, and what errors shall call it (a new string). */
int secboxctl_gather(const Secboxctl *ctl, const char *path, char *const *env_files, Gathered *ret, char **ret_name,
                     Error *err) _must_check_;

/* --timeout as microseconds; usage errors have the id "usage". */
int secboxctl_timeout(const Secboxctl *ctl, usec_t *ret, Error *err) _must_check_;

/* Prints the error and gives the exit code that fits: 3 when the agent could not be asked, 2 for usage, else 1. */
int secboxctl_fail(const Secboxctl *ctl, const Error *err, int r);

int verb_status(int argc, char **argv, void *userdata);
int verb_history(int argc, char **argv, void *userdata);
int verb_plan(int argc, char **argv, void *userdata);
int verb_apply(int argc, char **argv, void *userdata);
int verb_updates(int argc, char **argv, void *userdata);
int verb_update(int argc, char **argv, void *userdata);
int verb_apps(int argc, char **argv, void *userdata);
int verb_project_stop(int argc, char **argv, void *userdata);
int verb_project_start(int argc, char **argv, void *userdata);
int verb_project_restart(int argc, char **argv, void *userdata);
int verb_project_remove(int argc, char **argv, void *userdata);
int verb_rollback(int argc, char **argv, void *userdata);
int verb_agent_update(int argc, char **argv, void *userdata);
int verb_render(int argc, char **argv, void *userdata);
int verb_env_check(int argc, char **argv, void *userdata);
int verb_env_ensure(int argc, char **argv, void *userdata);
int verb_env_show(int argc, char **argv, void *userdata);
int verb_logs(int argc, char **argv, void *userdata);
int verb_sessions(int argc, char **argv, void *userdata);
int verb_replica_status(int argc, char **argv, void *userdata);
int verb_replica_verify(int argc, char **argv, void *userdata);
int verb_replica_resync(int argc, char **argv, void *userdata);
int verb_replica_unconfirmed(int argc, char **argv, void *userdata);
int verb_replica_release(int argc, char **argv, void *userdata);
int verb_queue_status(int argc, char **argv, void *userdata);
int verb_queue_dead(int argc, char **argv, void *userdata);
int verb_queue_retry(int argc, char **argv, void *userdata);
int verb_relay_status(int argc, char **argv, void *userdata);
int verb_relay_use(int argc, char **argv, void *userdata);
int verb_pair(int argc, char **argv, void *userdata);
int verb_unpair(int argc, char **argv, void *userdata);
/* verb-trust.c: signers as an array of {"name", "keyId", "hardware"} in this member (-ENOMEM), and as a table: a new string or
 * NULL. */
int secboxctl_add_signers(cJSON *o, const char *member, const OrderSigners *signers);
char *secboxctl_signers_table(const OrderSigners *signers);
int verb_trust_list(int argc, char **argv, void *userdata);
int verb_trust_add(int argc, char **argv, void *userdata);
int verb_trust_remove(int argc, char **argv, void *userdata);
int verb_trust_threshold(int argc, char **argv, void *userdata);
int verb_trust_root(int argc, char **argv, void *userdata);
int verb_release_apply(int argc, char **argv, void *userdata);
int verb_release_status(int argc, char **argv, void *userdata);
int verb_release_rollback(int argc, char **argv, void *userdata);
int verb_release_order(int argc, char **argv, void *userdata);
int verb_release_finish(int argc, char **argv, void *userdata);
int verb_release_prepare(int argc, char **argv, void *userdata);
int verb_doctor(int argc, char **argv, void *userdata);

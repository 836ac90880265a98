/* SPDX-License-Identifier: MIT */
/* What the parts of recovery-agent share; each is a pair of files, with a header that says what it does. */
#pragma once

#include "lib/data/key.h"
#include "lib/event/config-watch.h"
#include "lib/event/self-check.h"
#include "lib/event/saver.h"
#include "lib/tunnel/agent-request.h"
#include "lib/tunnel/bridge.h"
#include "lib/net/listener.h"
#include "lib/tunnel/tunnel.h"
#include "recovery-agent/access.h"
#include "recovery-agent/agent-watch.h"
#include "recovery-agent/main-way.h"
#include "recovery-agent/recovery-config.h"
#include "recovery-agent/ladder.h"
#include "recovery-agent/heartbeat-reader.h"
#include "recovery-agent/recovery.h"
#include "recovery-agent/recovery-state.h"
#include "recovery-agent/verdict.h"

#define PROBE_ID_SIZE 32

/* The checks of a round, in this order; listeners follow. */
enum {
    CHECK_HEARTBEAT,
    CHECK_TUNNEL, /* the main way, tried from its far end */
    CHECK_LISTENERS,
};

struct Recovery {
    sd_event *event;
    Config config,
        other; /* other: the configuration to try when the gateway cannot be reached with this one; may be empty */
    State state;
    Saver *saver;
    const char *program; /* our own path; borrowed */
    Key *key;
    Tunnel *tunnel;
    Bridge *bridge;
    Access access;
    const char *grant_refused; /* why the last break-glass grant does not count, an error's id; NULL: it does */
    char *refused_session;     /* the one that it was for */
    char *unsigned_account;    /* the last that was signed without one: its session; NULL: it was not */
    char boot_id[BOOT_ID_SIZE];
    char *last_fault; /* the same failure again is not news */
    char *told;       /* the last recovery.status */
    sd_event_source *again, *leave;
    ConfigWatch *watch;
    char *config_fault; /* what is wrong with the configuration on the box; NULL = nothing */
    bool on_kept;       /* the configuration is the one that worked last, not that on the box */
    usec_t up_since;    /* of our tunnel; 0 = down */
    bool was_up, config_kept;
    Alive alive;

    /* a round */
    sd_event_source *next, *expiry;
    char *heartbeat; /* the file, below the prefix */
    Listeners *listeners;
    char probe_id[PROBE_ID_SIZE]; /* of the probe.request that waits; "" = none */
    usec_t probe_asked;           /* when it was sent */
    bool listeners_settled;
    unsigned rounds;
    CheckResult results[CHECK_LISTENERS + LISTENERS_MAX];
    Deployed deployed; /* whether the main container is deployed */
    MainWay main_way;
    usec_t round_started, round_ended;
    bool heartbeat_seen, others_in;
    VerdictOptions verdict_options;
    Verdict verdict;
    usec_t healthy_since;
    usec_t changed_at; /* wall clock at the verdict */

    LadderOptions ladder_options;
    Ladder ladder;
    LadderStep running;
    AgentRequest *request;
    usec_t reboot_again; /* when a reboot that has not come is asked for again */

    AgentWatch *agent_watch; /* see agent-watch.h */

    /* whether the sshd answers, and whether the disk can be written to */
    sd_event_source *self_timer;
    Listeners *sshd;
    unsigned self_checks, sshd_failures;
    bool asking_sshd, disk_fault;
};

LadderTime recovery_time(const Recovery *r);
/* Writes a file of our folder, in the background; on_done may be NULL. */
int recovery_save_file(Recovery *r, const char *name, const char *text, saver_done_t on_done);
/* The same of state.json. */
int recovery_save(Recovery *r, saver_done_t on_done);

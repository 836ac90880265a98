/* SPDX-License-Identifier: MIT */
/* The journal of the package update that is under way or came last: which of the two packages that look after a box goes to which
 * version, and whether it has proved itself. installer/package-update.sh writes it; both agents read it, each to watch the
 * other's package. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define AGENT_PACKAGE "secbox-agent"
#define RECOVERY_PACKAGE "secbox-recovery"

typedef enum AgentUpdateState {
    AGENT_UPDATE_NONE,   /* there has been none */
    AGENT_UPDATE_STAGED, /* packages are being fetched; nothing has changed */
    AGENT_UPDATE_INSTALLING,
    AGENT_UPDATE_PROVING, /* the new version runs, and the other agent waits for its proof */
    AGENT_UPDATE_GOING_BACK,
    AGENT_UPDATE_CONFIRMED,
    AGENT_UPDATE_ROLLED_BACK,
    AGENT_UPDATE_FAILED, /* nothing was changed, or what somebody else installed or removed meanwhile was left */
    AGENT_UPDATE_STUCK,  /* the old version could not be put back */
    _AGENT_UPDATE_STATES,
} AgentUpdateState;

typedef struct AgentUpdate {
    AgentUpdateState state;
    char *state_name;
    char *id, *number; /* of the order; number is the deployment's version */
    char *package, *from, *to;
    char *next; /* the package whose turn it is then, or NULL */
    char *boot, *why;
    char *refusal; /* of one that failed, where that is more than a fault: newer, away, start, taken-over; else NULL */
    uint64_t tunnel;   /* 1: the tunnel was up before, and has to come back */
    uint64_t recovery; /* 1: recovery-agent's was when the order began; 0 also of a script that did not note it */
    uint64_t plan;     /* the status of a dry plan before: with 200 it has to be so again */
    uint64_t seconds, deadline, began;
} AgentUpdate;

/* Without a file it is AGENT_UPDATE_NONE. agent-update.damaged. */
int agent_update_load(AgentUpdate *ret, Error *err) _must_check_;
void agent_update_done(AgentUpdate *u);
/* Of the journal's text. Pure. */
int agent_update_parse(const char *text, size_t len, AgentUpdate *ret, Error *err) _must_check_;

/* Neither over nor none. */
bool agent_update_is_open(const AgentUpdate *u);
/* Whether the new version of this package runs and has to prove itself. */
bool agent_update_is_proving(const AgentUpdate *u, const char *package);

/* Its time is over. */
bool agent_update_is_late(const AgentUpdate *u, const char *boot, usec_t now);

/* How long a tunnel has been up before it says something: of the new version, or against it. */
#define AGENT_UPDATE_SETTLED (2 * USEC_PER_MINUTE)

typedef struct AgentUpdateProof {
    bool here;   /* what the new version shows on the box itself */
    bool far;    /* it was reached through its tunnel */
    bool said;   /* its tunnel has been up for a while, as it says itself: counts where nobody else can say it */
    bool denied; /* asked since then, the gateway did not reach it: its own word counts no more */
} AgentUpdateProof;

typedef enum AgentUpdateVerdict {
    AGENT_UPDATE_WAIT,
    AGENT_UPDATE_KEEP,
    AGENT_UPDATE_BACK,
} AgentUpdateVerdict;

/* What the watching agent, whose own tunnel is up since own_up_since (0 = down), does about the update of `package`. A line that
 * is down says nothing about the new version; but after a day the version that could connect is put back. Pure. */
AgentUpdateVerdict agent_update_judge(const AgentUpdate *u, const char *package, const AgentUpdateProof *proof,
                                      const char *boot, usec_t own_up_since, usec_t now);

/* "BOOT ID": the file in which the program says that it has proved itself, in this boot and for this update. */
bool agent_update_is_proved_by(const AgentUpdate *u, const char *path, const char *boot);
/* agent-update.old-program: we are what the package had before. */
int agent_update_write_proof(const AgentUpdate *u, const char *path, const char *boot, Error *err) _must_check_;

/* A version of a Debian package: nothing that apt could take for anything else. */
bool agent_update_is_version(const char *text);

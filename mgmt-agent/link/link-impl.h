/* SPDX-License-Identifier: MIT */
/* What the parts of mgmt-link share. Private to this folder. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/base/map.h"
#include "lib/event/config-watch.h"
#include "lib/event/self-check.h"
#include "lib/http/client.h"
#include "lib/tunnel/device-tunnel.h"
#include "mgmt-agent/link/agent-client.h"
#include "mgmt-agent/link/link-config.h"
#include "mgmt-agent/link/link.h"

#define LINK_PROGRAM "mgmt-link"

typedef struct LinkFiles LinkFiles;

struct Link {
    sd_event *event;
    sd_event_source *recheck, *wait, *look;
    ConfigWatch *watch;
    char *agent_socket, *state_dir, *config_path;
    bool config_is_credential;
    LinkConfig config, next;  /* next: on trial, or waiting for it; with a digest while there is one */
    bool configured, stopped; /* stopped: waits for another configuration */
    bool may_mend;            /* or for what it names to be there: the configuration itself is good */
    Error fault;              /* why there is no tunnel, as last reported */
    usec_t since;             /* wall clock: connected, or not, since then */
    usec_t next_try;          /* wall clock: when it is tried again; 0: it is not known */
    HttpClient *http;
    DeviceTunnel *tunnel, *trial; /* the latter with `next`; it takes over when it is up */
    char *trial_fault;            /* the same again is not news */
    bool waits;                   /* for people to leave, and has told so */
    bool kept;                    /* the configuration that works was written down */
    bool on_kept;                 /* the configuration is the one that worked last, not that on the box */
    AgentClient *agent;
    LinkFiles *files; /* that are being fetched, with what waits for them; NULL until there are any */
    Map *complained;  /* message types that were dropped, each logged once; values are not used */
    Alive alive;
    enum { TUNNEL_UNTOLD, TUNNEL_TOLD_UP, TUNNEL_TOLD_DOWN } told; /* what LINK_DOWN_PATH says */
    char **addresses;                                              /* of this machine, as mgmt-agent knows them */
    unsigned progress_held; /* progress messages given to the tunnel while it was down */
};

/* link-status.c: what mgmt-agent, systemd and the log are told. */
void link_report(Link *l);
/* Looks from now on which addresses this machine has: mgmt-agent, without a network, tells them to the container. */
void link_follow_addresses(Link *l);
/* Takes over the reason, logs it if it is news, and reports. err NULL: connected. */
void link_set_fault(Link *l, const Error *err, int r, const char *decision);
void link_greet_agent(Link *l);
/* "addresses": those that are followed. */
int link_add_addresses(const Link *l, cJSON *status) _must_check_;

/* link-machine.c: what an operator is told of a machine that asks to be let in; `link` is a Link. */
cJSON *link_machine(void *link);

/* link.c */
/* What a tunnel came up with is written down, unless it is already. */
void link_keep_config(Link *l);
int link_connect(Link *l, const LinkConfig *c, DeviceTunnel **ret, Error *err);
/* The box belongs to no cloud any more: no tunnel, no token, nothing that worked before; the key stays. */
void link_forget(Link *l);
/* Starts over with l->config, or, where that cannot be, stops and waits. */
void link_try(Link *l);
void link_stop(Link *l, const Error *err, int r);

/* link-trial.c: another configuration, while a tunnel is there. */
/* Files to be watched from now on: mgmt-agent.env and the authorities of both configurations. */
void link_watch_files(Link *l);
/* The files have changed, or a signal says so. */
void link_look_again(Link *l);
/* What mgmt-agent.env holds now. */
void link_take_text(Link *l, const char *text);
/* What is on trial, or waits for it, is given up. */
void link_drop_config(Link *l);
/* With `next`, once nobody is in through the present tunnel. */
void link_start_trial(Link *l);
/* Somebody comes in through the present tunnel, which a gateway closes when the one on trial gets there. */
void link_put_off_trial(Link *l);
/* The tunnel on trial is up: it is the tunnel from now on. */
void link_promote(Link *l);
void link_trial_failed(Link *l, const Error *err, int r);
/* At the start: the configuration that worked last, where the present one is another or cannot be read. */
void link_take_kept(Link *l);
/* For mgmt-agent and doctor; err NULL: all is well. */
void link_tell_config(const Error *err, int r);

/* link-pass.c: one message from one side to the other. */
void link_from_cloud(Link *l, const cJSON *message, const char *text);
void link_from_agent(Link *l, const char *line, size_t len);

/* link-files.c: whether the message waits for files that it names. It is handed to mgmt-agent when they are here, or do not
 * come. */
bool link_hold_for_files(Link *l, const cJSON *message, LineKind kind, const char *text);
LinkFiles *link_files_free(LinkFiles *f);

/* link-logs.c */
/* A BridgeTarget's: a connection to mgmt-agent at the path `socket`, over which it says what a service writes. */
int link_dial_logs(const cJSON *open, void *socket, int *ret_in, int *ret_out, Error *err);

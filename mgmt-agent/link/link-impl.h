/* SPDX-License-Identifier: MIT */
/* What the parts of mgmt-link share. Private to this folder. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <time.h>

#include "lib/base/map.h"
#include "lib/event/self-check.h"
#include "lib/http/client.h"
#include "lib/tunnel/device-tunnel.h"
#include "mgmt-agent/link/agent-client.h"
#include "mgmt-agent/link/link-config.h"
#include "mgmt-agent/link/link.h"

#define LINK_PROGRAM "mgmt-link"

struct Link {
    sd_event *event;
    sd_event_source *recheck;
    char *agent_socket, *state_dir, *config_path;
    bool config_is_credential;
    struct timespec config_changed_at; /* of the file on the box, as it was read */
    LinkConfig config;
    bool configured, stopped; /* stopped: waits for another configuration */
    bool may_mend;            /* or for what it names to be there: the configuration itself is good */
    Error fault;              /* why there is no tunnel, as last reported */
    usec_t since;             /* wall clock: connected, or not, since then */
    HttpClient *http;
    DeviceTunnel *tunnel;
    AgentClient *agent;
    Map *complained; /* message types that were dropped, each logged once; values are not used */
    Alive alive;
    unsigned progress_held; /* progress messages given to the tunnel while it was down */
};

/* link-status.c: what mgmt-agent, systemd and the log are told. */
void link_report(Link *l);
/* Takes over the reason, logs it if it is news, and reports. err NULL: connected. */
void link_set_fault(Link *l, const Error *err, int r, const char *decision);
void link_greet_agent(Link *l);

/* link-pass.c: one message from one side to the other. */
void link_from_cloud(Link *l, const cJSON *message, const char *text);
void link_from_agent(Link *l, const char *line, size_t len);

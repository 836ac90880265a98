/* SPDX-License-Identifier: MIT */
/* The local socket to mgmt-agent: connects, reconnects every second, frames lines, and keeps a bounded queue of lines
 * while mgmt-agent is away. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct AgentClient AgentClient;

typedef enum LineKind {
    LINE_SESSION, /* for the present connection only: never outlives it */
    LINE_ASK,     /* a question that is asked again: the first to go when the queue is full */
    LINE_KEEP,    /* a change or its confirmation */
} LineKind;

#define AGENT_QUEUE_LINES_MAX 256
#define AGENT_QUEUE_BYTES_MAX (4 * 1024 * 1024)
/* Nobody waits for an answer any longer: what is older is not delivered, so that no old push begins by surprise. */
#define AGENT_LINE_AGE_MAX (5 * USEC_PER_MINUTE)

typedef struct AgentEvents {
    /* Connected: send what has to come first, with LINE_SESSION. */
    void (*on_up)(AgentClient *c, void *userdata);
    /* One line without its newline. */
    void (*on_line)(AgentClient *c, const char *line, size_t len, void *userdata);
    /* The connection is lost, or the first try failed; it is tried again by itself. Not called for every try. */
    void (*on_down)(AgentClient *c, const Error *err, void *userdata);
} AgentEvents;

/* Connects from the loop. `path` is copied. */
int agent_client_new(sd_event *event, const char *path, const AgentEvents *events, void *userdata, AgentClient **ret,
                     Error *err) _must_check_;
AgentClient *agent_client_free(AgentClient *c);
DEFINE_CLEANUP(AgentClient, agent_client_free)

bool agent_client_is_up(const AgentClient *c);

/* Sends or queues one line (text must not hold a newline). LINE_SESSION without a connection is -ENOTCONN. -ENOBUFS when
 * the queue is full and nothing less important could be dropped; -EMSGSIZE over CONTROL_LINE_MAX. */
int agent_client_send(AgentClient *c, LineKind kind, const char *text, size_t len) _must_check_;

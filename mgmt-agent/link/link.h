/* SPDX-License-Identifier: MIT */
/* The glue between the cloud and mgmt-agent: one tunnel, one identity, one local socket, and what passes between. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Link Link;

typedef struct LinkOptions {
    const char *agent_socket; /* NULL = the usual one */
    const char *user;         /* NULL = stay who we are */
} LinkOptions;

/* Reads the configuration, makes the state folder, drops privileges. A configuration that is wrong is no failure here:
 * it is reported when the link runs, and waited on. */
int link_new(sd_event *event, const LinkOptions *options, Link **ret, Error *err) _must_check_;
/* Starts everything; the rest happens on the loop. */
int link_start(Link *l, Error *err) _must_check_;
/* For the watchdog: the tunnel is where it should be by now, and what it is made of, a socket, works. */
int link_is_alive(void *link);
Link *link_free(Link *l);
DEFINE_CLEANUP(Link, link_free)

/* SPDX-License-Identifier: MIT */
/* The process that has the authority's private key, and nothing else: it signs certificates for support staff. It believes the
 * gateway, whom strangers talk to, no more than that somebody asks: the grant is what the database says, the person is the one
 * whose token is shown, the serial number and the entry in the audit log are its own statement's, and what is in a certificate
 * follows from the grant. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/data/ssh-cert.h"

typedef struct Signer Signer;

typedef struct SignerOptions {
    const char *database;                      /* libpq connection string */
    const char *record_sessions, *auditor_key; /* as recording_policy_read() takes them */
    SshCa *ca;                                 /* taken, also on failure */
    int listen_fd;                             /* a socket to accept gateways from; -1: none; taken, also on failure */
    int parent_fd;                             /* a connection, with whose end the loop ends; -1: none; the same */
} SignerOptions;

/* Errors: store.bad-config, config.record-sessions. */
int signer_new(sd_event *event, const SignerOptions *options, Signer **ret, Error *err) _must_check_;
Signer *signer_free(Signer *s);
DEFINE_CLEANUP(Signer, signer_free)

/* So that nobody looks into this process's memory, and it gets no more rights. */
int signer_confine(Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* A box's identity for one role: a key pair made here, claimed once with the bootstrap token, and a device token that
 * is refreshed with proof of possession. State survives in its folder: key.pem and token (0600). */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/key.h"
#include "lib/http/client.h"

typedef struct Identity Identity;

typedef struct IdentityOptions {
    const char *role;      /* "mgmt", "device", "recovery" */
    const char *cloud_url; /* CLOUD_BASE_URL */
    const char *device_id;
    const char *bootstrap; /* may be NULL once claimed */
    const char
        *enrolment; /* the token by which the claim asks to be let in; NULL: the bootstrap token is known there */
    cJSON *(*machine)(void *userdata); /* what it then says of this machine: a new object; NULL when out of memory */
    const char
        *key_offer; /* where mgmt-agent looks for this role's key, to vouch for it (lib/tunnel/voucher.h): then no
                              bootstrap token is needed where it does; NULL: it is the role that vouches */
    const char *cloud_key; /* claims go to a cloud with this public key alone (HttpRequest.peer_key); may be NULL */
    const char *ca_file;
    const char *state_dir;
    uid_t uid; /* owner of what is written; (uid_t) -1 = as is */
    gid_t gid;
    /* There is a new token (the first one, or a refreshed one). */
    void (*on_token)(Identity *i, const char *token, void *userdata);
    /* Something failed. retry_in = USEC_INFINITY: the configuration is wrong and is not tried again (SPEC §5). */
    void (*on_failure)(Identity *i, usec_t retry_in, const Error *err, void *userdata);
    void *userdata;
} IdentityOptions;

/* Loads or makes the key; checks the configuration (identity.bad-config, with the name of the setting: a literal "${",
 * a URL that does not parse, an empty device id). Does not connect. */
int identity_new(sd_event *event, HttpClient *http, const IdentityOptions *options, Identity **ret,
                 Error *err) _must_check_;
Identity *identity_free(Identity *i);
DEFINE_CLEANUP(Identity, identity_free)

/* Gets a token if there is none that is fresh: claims or refreshes over HTTP, retrying by itself with backoff. A stored
 * one that is fresh is announced by on_token, too. Callbacks come from the loop only, and may free the identity. */
void identity_start(Identity *i);
/* Borrowed. */
const Key *identity_key(const Identity *i);
/* The current token or NULL; borrowed until on_token. */
const char *identity_token(const Identity *i);
/* The server refused the token: gets another over HTTP (once; after further refusals it backs off from 10 min, full
 * jitter). */
void identity_refused(Identity *i);

/* When the token should be refreshed, as a delay from now: at two thirds of its life, or at the next night (03:00 local
 * plus a per-device offset within 2 h), whichever is sooner. Pure. */
usec_t identity_refresh_delay(uint64_t issued_at, uint64_t expires_at, uint64_t now, uint64_t night_offset_seconds,
                              long utc_offset_seconds);

/* A proof for the in-band refresh: put it in an auth.refresh message on the live tunnel. New string. */
char *identity_make_proof(Identity *i, Error *err);
/* The gateway's auth.token answer: stores it durably, arms the next refresh and calls on_token. A token that does not
 * parse, or is for another device, is refused, and the present one stays (jwt.*, identity.other-device). One that
 * cannot be stored is used nevertheless, and the failure is returned (file.write). */
int identity_accept_token(Identity *i, const char *token, Error *err);
/* Called when a refresh is due and a tunnel is up; without it (NULL) refreshing goes over HTTP. Returns 0 if taken. */
void identity_set_inband(Identity *i, int (*refresh)(Identity *i, void *userdata), void *userdata);

/* SPDX-License-Identifier: MIT */
/* What the files of the pairing share. Private to them. */
#pragma once

#include "env/claim-document.h"
#include "mgmt-agent/agent/pairing.h"
#include "mgmt-agent/state/pairing-file.h"

struct Pairing {
    Agent *agent;
    PairingFile file;
    usec_t locked_until;      /* boottime: no PIN is looked at before */
    bool connected;           /* the tunnel of this claim is up */
    bool marked;              /* PAIRING_MARKER is there */
    cJSON *trouble;           /* why it is not, while that is tried again */
    cJSON *progress, *result; /* the last of each since the claim */
};

/* pairing.c */
/* Takes the text of a claim, whoever brings it. The same again is no error. */
int pairing_claim(Pairing *p, const char *text, Error *err) _must_check_;
/* Back to a box that nobody has claimed; takes `error`, why, which may be NULL. */
int pairing_unclaim(Pairing *p, cJSON *error, Error *err) _must_check_;

/* pairing-enrol.c */
/* Of a claim with an enrolment token, what the box adds: a name, where there is none, and a bootstrap token that is good once an
 * operator has let the box in. */
int pairing_enrol(ClaimDocument *claim, Error *err) _must_check_;

/* pairing-report.c */
/* pair.report; `with_pin` for whoever is at the console. NULL when out of memory. */
cJSON *pairing_make_report(Pairing *p, const char *id, bool with_pin);
/* Something of this claim runs. */
bool pairing_is_ready(const Pairing *p);
/* The page may be there: the box is unclaimed, or has been claimed just now. */
bool pairing_is_open(const Pairing *p);

/* pairing-env.c */
/* mgmt-agent.env as it is; "" when there is none. Secret. */
int pairing_env_read(char **ret, Error *err) _must_check_;
/* Whether it names a box, a cloud or a token; also when it cannot be read: somebody means something by it. */
bool pairing_env_is_configured(void);
/* The text with the claim in it, checked as a whole; without a claim: with what a claim had put into it taken away. A new secret
 * string. A claim names its box, and has a bootstrap token, by then. */
int pairing_env_make(const char *text, const ClaimDocument *claim, char **ret, Error *err) _must_check_;
/* The text without what only the claim needed, which is over: a new secret string; *ret is NULL when nothing of that is in it, or
 * when the token there is not the claim's, of which boot_digest is. */
int pairing_env_settle(const char *text, const char *boot_digest, char **ret, Error *err) _must_check_;
/* Writes mgmt-agent.env, and brings a secbox.env that is there to the same box and cloud. */
int pairing_env_install(const char *text, Error *err) _must_check_;

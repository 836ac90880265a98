/* SPDX-License-Identifier: MIT */
/* Host mode: how a release of the data plane comes to this box, is put in place, and taken back. */
#pragma once

#include "lib/data/digest.h"
#include "lib/data/release-record.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

/* An archive and what was signed about it. */
typedef struct ReleaseInput {
    int fd; /* of a file without a name, which is read from its first byte on */
    char sha256[SHA256_HEX_SIZE];
    char *order; /* of NAME.order, beside it; NULL: there is none */
} ReleaseInput;

#define RELEASE_INPUT_INIT                                                                                             \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* Of a file, or of an https URL; http where signers are pinned, whose signatures say then what it is. release.unreachable,
 * release.plain-http, release.too-large, http.*, file.* */
int release_archive_get(const char *name, ReleaseInput *ret, Error *err) _must_check_;
/* Of what mgmt-link has fetched; -EBADMSG release.bad-content when it is another one. */
int release_archive_get_fetched(const char *sha256, ReleaseInput *ret, Error *err) _must_check_;
void release_archive_done(ReleaseInput *a);
/* Whether this box takes it: where signers are pinned, enough of them have to have signed it. *ret_who: their names, NULL where
 * nobody is pinned. -EACCES release.unsigned, order.*, and what trust_load() says */
int release_archive_admit(const ReleaseInput *a, char **ret_who, Error *err) _must_check_;

/* release-units.c: what systemd and secbox say. All within seconds. */
bool release_unit_runs(const char *unit);
/* 0: it does not run */
uint64_t release_unit_pid(const char *unit);
/* systemctl VERB UNIT, in the time that a program has to end and to start. */
bool release_unit_do(const char *verb, const char *unit);
bool release_tunnel_is_up(void);

#define RELEASE_UNIT "secbox.service"
#define RELEASE_RELAY_UNIT "relay-client.service"

/* Carries out what is staged in this boot; takes back whatever else was begun and not finished. The caller holds release_lock().
 * Afterwards the record is not open. */
int release_finish(Error *err) _must_check_;
/* The same for what an earlier boot has begun, and nothing else: nothing runs yet. */
int release_finish_at_boot(Error *err) _must_check_;
/* Before another release is brought: what is staged and was not begun never will be. */
int release_finish_for_another(Error *err) _must_check_;

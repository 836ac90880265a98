/* SPDX-License-Identifier: MIT */
/* Grants to log in to a box, and the certificates that are issued under them. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

extern const char schema_accounts[];

/* One grant as it stood in the database; texts are owned. */
typedef struct Grant {
    char *id, *device, *person, *reason;
    char *account;        /* on the box, to log in as */
    int64_t seconds_left; /* 0 or less: expired */
    uint64_t expires_at;  /* seconds since 1970 */
    unsigned max_seconds, idle_seconds;
    bool forwarding, break_glass, revoked;
    char *envelope; /* what an operator has signed of it, as it is carried; or NULL */
} Grant;

void grant_done(Grant *g);

typedef struct NewGrant {
    const char *id, *device, *person, *reason, *actor, *account;
    const char *labels; /* that the device must have; NULL: none */
    unsigned seconds, max_seconds, idle_seconds;
    bool forwarding, break_glass;
    const char *envelope; /* or NULL */
} NewGrant;

/* Each answers with 0 {"grant"}; no row: no such device, or no such grant. */
Statement sql_grant_add(const NewGrant *g);
Statement sql_grant(const char *id);
Statement sql_grant_revoke(const char *id, const char *actor);

/* 0 {"grants": […]}, newest first. NULL: of every device, of every person. */
Statement sql_grants(const char *device, const char *person, bool only_open, const char *labels);

/* For grant_row(), which reads the columns of a grant, to use it: whether the token with this hash is good, too. */
Statement sql_grant_for_session(const char *id, const char *token);
/* The same for a certificate: its serial number, if the grant is good and that of the person whose token this is, who may log in
 * to the box, as this account; only then is it counted and written to the audit log, with whether its sessions are recorded: NULL,
 * "wanted", "required", which a break-glass grant's need not be. */
Statement sql_grant_for_certificate(const char *id, const char *token, const char *key, const char *recording);

typedef struct GrantExtra {
    bool token_good;      /* for a certificate: to log in to boxes */
    uint64_t serial;      /* for a certificate; 0: none */
    bool host_keys_known; /* for a certificate: those of each of the box's sshds */
    bool by_account;      /* for a certificate: the box's sshds tell accounts apart */
    bool blocked;         /* the same: the box is, so that there is none */
} GrantExtra;

/* 0 or -ENOMEM. */
int grant_row(const StoreRows *rows, Grant *ret, GrantExtra *ret_extra) _must_check_;

/* Certificates that have not expired, and that boxes must not take any more: 0 device, 1 version, 2 their key ids, an array: of
 * each box for which they are others than before, an empty array where none is left. Expired certificates are forgotten. */
Statement sql_revocations(void);
/* The same of every box that was ever told of some. */
Statement sql_revocations_known(void);

/* 0 a grant that was revoked, or with "labels" as 2 one whose box is none of those any more that its person's tokens reach, 1 the
 * hash of a token that is not good any more, the other column empty: of these, by comma. */
Statement sql_withdrawn(const char *grants, const char *tokens);

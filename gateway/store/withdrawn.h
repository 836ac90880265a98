/* SPDX-License-Identifier: MIT */
/* That something has been withdrawn by which people are in: a grant, a token, a sign-in. Who withdraws it, be it on the command
 * line, tells the gateway that serves by PostgreSQL's NOTIFY, so that it looks at once and not with its next round. */
#pragma once

#define WITHDRAWN_CHANNEL "secbox_withdrawn"

/* A column of what the statement answers, behind those that somebody reads: told when the transaction is committed, once
 * however many rows there are. */
#define SQL_TELL_WITHDRAWN "pg_notify('" WITHDRAWN_CHANNEL "', '')"
/* For the session that wants to hear it. */
#define SQL_LISTEN_WITHDRAWN "LISTEN " WITHDRAWN_CHANNEL

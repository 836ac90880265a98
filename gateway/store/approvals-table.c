/* SPDX-License-Identifier: MIT */
#include "gateway/store/approvals-table.h"

const char schema_approvals[] =
    "CREATE TABLE approvals ("
    " id text PRIMARY KEY,"
    " person text NOT NULL,"
    " action text NOT NULL,"
    " device text,"
    " sha256 text NOT NULL,"
    " detail jsonb NOT NULL,"
    " asked_at timestamptz NOT NULL DEFAULT now(),"
    " expires_at timestamptz NOT NULL,"
    " state text NOT NULL DEFAULT 'waiting'"
    " CHECK (state IN ('waiting', 'approved', 'refused', 'used', 'expired')),"
    " decided_at timestamptz,"
    " decided_by text);\n"
    "CREATE INDEX approvals_request ON approvals(person, sha256);\n"
    "CREATE INDEX approvals_open ON approvals(expires_at) WHERE state IN ('waiting', 'approved');\n";

/* over a row p */
#define APPROVAL_JSON                                                                                                  \
    "jsonb_strip_nulls(jsonb_build_object('id', p.id, 'person', p.person, 'action', p.action, 'device', p.device,"     \
    " 'detail', p.detail, 'askedAt', secbox_time(p.asked_at), 'expiresAt', secbox_time(p.expires_at),"                 \
    " 'state', CASE WHEN p.state IN ('waiting', 'approved') AND p.expires_at <= now() THEN 'expired' ELSE p.state "    \
    "END,"                                                                                                             \
    " 'decidedAt', secbox_time(p.decided_at), 'decidedBy', p.decided_by))"

/* of an audit entry about it */
#define APPROVAL_DETAIL                                                                                                \
    "jsonb_build_object('approval', p.id, 'action', p.action, 'person', p.person, 'request', p.detail)"

Statement sql_approval_take(const ApprovalAsk *a)
{
    return STATEMENT(
        "WITH live AS (SELECT * FROM approvals WHERE person = $2 AND sha256 = $6 AND expires_at > now()"
        " AND state IN ('waiting', 'approved', 'refused') ORDER BY asked_at DESC LIMIT 1),"
        /* of the row as it is once it is ours: somebody else may have used it meanwhile */
        " used AS (UPDATE approvals SET state = 'used' FROM live WHERE approvals.id = live.id"
        " AND approvals.state = 'approved' RETURNING approvals.*),"
        " new AS (INSERT INTO approvals(id, person, action, device, sha256, detail, expires_at)"
        " SELECT $1, $2, $4, $5, $6, $7::jsonb, now() + make_interval(secs => $8::integer)"
        " WHERE NOT EXISTS (SELECT FROM live) AND (SELECT count(*) FROM approvals WHERE person = $2"
        " AND state = 'waiting' AND expires_at > now()) < $9::integer RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, alarm, detail) SELECT $3, 'approval.asked', p.device, "
        "true, " APPROVAL_DETAIL " FROM new p),"
        " b AS (INSERT INTO audit(actor, action, device, detail) SELECT $3, 'approval.used', p.device, " APPROVAL_DETAIL
        " || jsonb_build_object('decidedBy', p.decided_by) FROM used p)"
        " SELECT EXISTS (SELECT FROM used), (SELECT jsonb_build_object('approval', " APPROVAL_JSON ")"
        " FROM (SELECT * FROM new UNION ALL SELECT * FROM live) p)",
        sql_text(a->id), sql_text(a->person), sql_text(a->actor), sql_text(a->action), sql_text(a->device),
        sql_text(a->sha256), sql_text(a->detail), sql_number(a->seconds), sql_number(a->waiting_max));
}

Statement sql_approvals(const char *person)
{
    return STATEMENT("SELECT jsonb_build_object('approvals', coalesce(jsonb_agg(" APPROVAL_JSON
                     " ORDER BY p.asked_at DESC), '[]'::jsonb)) FROM (SELECT * FROM approvals"
                     " WHERE $1::text IS NULL OR person = $1::text ORDER BY asked_at DESC LIMIT 200) p",
                     sql_text(person));
}

Statement sql_approval(const char *id, const char *person)
{
    return STATEMENT("SELECT jsonb_build_object('approval', " APPROVAL_JSON ") FROM approvals p WHERE id = $1::text"
                     " AND ($2::text IS NULL OR person = $2::text)",
                     sql_text(id), sql_text(person));
}

Statement sql_approval_decide(const char *id, const char *person, const char *actor, const char *state)
{
    return STATEMENT(
        "WITH d AS (UPDATE approvals SET state = $4::text, decided_at = now(), decided_by = $2::text"
        " WHERE id = $1::text AND lower(person) <> lower($2::text) AND state = 'waiting' AND expires_at > now() "
        "RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $3::text, 'approval.' || p.state, "
        "p.device, " APPROVAL_DETAIL " FROM d p)"
        " SELECT jsonb_build_object('approval', " APPROVAL_JSON "), EXISTS (SELECT FROM d), p.person"
        " FROM (SELECT * FROM d UNION ALL SELECT * FROM approvals WHERE id = $1::text AND NOT EXISTS (SELECT FROM d)) "
        "p",
        sql_text(id), sql_text(person), sql_text(actor), sql_text(state));
}

Statement sql_approvals_expire(void)
{
    return (Statement) { .sql =
                             "WITH old AS (DELETE FROM approvals WHERE expires_at < now() - interval '90 days' AND "
                             "state NOT IN ('waiting', 'approved')),"
                             " p AS (UPDATE approvals SET state = 'expired' WHERE state IN ('waiting', 'approved')"
                             " AND expires_at <= now() RETURNING *)"
                             " INSERT INTO audit(actor, action, device, detail) SELECT 'gateway', 'approval.expired', "
                             "p.device, " APPROVAL_DETAIL " FROM p" };
}

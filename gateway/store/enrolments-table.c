/* SPDX-License-Identifier: MIT */
#include "gateway/store/enrolments-table.h"

#include "gateway/store/devices-table.h"

/* A place of a token is taken by its counter, not by counting rows: its lock makes those who come at once take turns. */
const char schema_enrolments[] = "CREATE TABLE enrolments ("
                                 " id text PRIMARY KEY,"
                                 " hash text NOT NULL UNIQUE,"
                                 " labels jsonb NOT NULL DEFAULT '{}',"
                                 " note text,"
                                 " boxes integer NOT NULL,"
                                 " used integer NOT NULL DEFAULT 0,"
                                 " auto_approve boolean NOT NULL,"
                                 " created_at timestamptz NOT NULL DEFAULT now(),"
                                 " created_by text NOT NULL,"
                                 " expires_at timestamptz NOT NULL,"
                                 " revoked_at timestamptz,"
                                 " revoked_by text);\n"
                                 "CREATE TABLE pending_devices ("
                                 " enrolment text NOT NULL REFERENCES enrolments(id),"
                                 " thumbprint text NOT NULL,"
                                 " device text NOT NULL,"
                                 " bootstrap_hash text NOT NULL,"
                                 " machine jsonb NOT NULL,"
                                 " peer text NOT NULL,"
                                 " state text NOT NULL DEFAULT 'pending'"
                                 " CHECK (state IN ('pending', 'approved', 'denied')),"
                                 " created_at timestamptz NOT NULL DEFAULT now(),"
                                 " seen_at timestamptz NOT NULL DEFAULT now(),"
                                 " decided_at timestamptz,"
                                 " decided_by text,"
                                 " PRIMARY KEY (enrolment, thumbprint));\n"
                                 "CREATE UNIQUE INDEX pending_devices_name ON pending_devices(device)"
                                 " WHERE state = 'pending';\n";

#define ENROLMENT_STATE                                                                                                \
    "CASE WHEN e.revoked_at IS NOT NULL THEN 'revoked' WHEN e.expires_at <= now() THEN 'expired'"                      \
    " WHEN e.used >= e.boxes THEN 'used-up' ELSE 'open' END"

#define ENROLMENT_JSON                                                                                                 \
    "jsonb_strip_nulls(jsonb_build_object('id', e.id, 'state', " ENROLMENT_STATE ", 'labels', e.labels,"               \
    " 'note', e.note, 'boxes', e.boxes, 'used', e.used, 'autoApprove', e.auto_approve,"                                \
    " 'createdAt', secbox_time(e.created_at), 'createdBy', e.created_by, 'expiresAt', secbox_time(e.expires_at),"      \
    " 'revokedAt', secbox_time(e.revoked_at), 'revokedBy', e.revoked_by))"

Statement sql_enrolment_add(const NewEnrolment *e)
{
    return STATEMENT(
        "WITH e AS (INSERT INTO enrolments(id, hash, labels, note, boxes, auto_approve, created_by, expires_at)"
        " VALUES ($1, $2, $3::jsonb, $4, $5::integer, $6::boolean, $7, now() + make_interval(hours => $8::integer))"
        " RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, detail) SELECT $7, 'enrolment.created', jsonb_strip_nulls("
        "jsonb_build_object('enrolment', id, 'labels', labels, 'boxes', boxes, 'autoApprove', auto_approve, 'note',"
        " note, 'expiresAt', secbox_time(expires_at))) FROM e)"
        " SELECT " ENROLMENT_JSON " FROM e",
        sql_text(e->id), sql_text(e->hash), sql_text(e->labels), sql_text(e->note), sql_number(e->boxes),
        sql_flag(e->approve), sql_text(e->actor), sql_number(e->hours));
}

Statement sql_enrolments(void)
{
    return (Statement) { .sql = "SELECT " ENROLMENT_JSON " || jsonb_build_object('waiting', (SELECT count(*)"
                                " FROM pending_devices p WHERE p.enrolment = e.id AND p.state = 'pending'))"
                                " FROM enrolments e ORDER BY e.created_at DESC, e.id" };
}

Statement sql_enrolment_revoke(const char *id, const char *actor)
{
    return STATEMENT(
        "WITH e AS (UPDATE enrolments SET revoked_at = now(), revoked_by = $2 WHERE id = $1 AND revoked_at IS NULL"
        " RETURNING *),"
        " p AS (UPDATE pending_devices SET state = 'denied', decided_at = now(), decided_by = $2 FROM e"
        " WHERE enrolment = e.id AND state = 'pending' RETURNING device, thumbprint),"
        " a AS (INSERT INTO audit(actor, action, detail) SELECT $2, 'enrolment.revoked',"
        " jsonb_build_object('enrolment', id) FROM e),"
        " b AS (INSERT INTO audit(actor, action, device, detail) SELECT $2, 'device.denied', device,"
        " jsonb_build_object('enrolment', $1::text, 'thumbprint', thumbprint) FROM p)"
        " SELECT " ENROLMENT_JSON " FROM e",
        sql_text(id), sql_text(actor));
}

/* The name $3 belongs to a device, or to another key than $2 that waits. The same key may have waited by an earlier token. */
#define NAME_TAKEN                                                                                                     \
    "(EXISTS (SELECT 1 FROM devices WHERE devices.id = $3) OR EXISTS (SELECT 1 FROM pending_devices o WHERE"           \
    " o.device = $3 AND o.state = 'pending' AND o.thumbprint <> $2))"

Statement sql_enrolment_look(const EnrolmentAsk *ask)
{
    return STATEMENT("WITH s AS (UPDATE pending_devices p SET seen_at = now(), device = $3, bootstrap_hash = $4,"
                     " machine = $5::jsonb, peer = $6 FROM enrolments e WHERE e.hash = $1 AND e.revoked_at IS NULL"
                     " AND p.enrolment = e.id AND p.thumbprint = $2 AND p.state = 'pending' AND NOT " NAME_TAKEN
                     " AND NOT EXISTS (SELECT 1 FROM pending_devices o WHERE o.device = $3 AND o.state = 'pending'"
                     " AND o.enrolment <> e.id) RETURNING 1)"
                     " SELECT " ENROLMENT_STATE ", p.state, p.device, " NAME_TAKEN " FROM enrolments e"
                     " LEFT JOIN pending_devices p ON p.enrolment = e.id AND p.thumbprint = $2 WHERE e.hash = $1",
                     sql_text(ask->hash), sql_text(ask->thumbprint), sql_text(ask->device),
                     sql_text(ask->bootstrap_hash), sql_text(ask->machine), sql_text(ask->peer));
}

EnrolmentState enrolment_state(const StoreRows *rows)
{
    return (EnrolmentState) {
        .state = store_rows_get(rows, 0, 0),
        .asked = store_rows_get(rows, 0, 1),
        .device = store_rows_get(rows, 0, 2),
        .name_taken = store_rows_true(rows, 0, 3),
    };
}

Statement sql_enrolment_take(const EnrolmentAsk *ask)
{
    return STATEMENT(
        "WITH e AS (UPDATE enrolments SET used = used + 1 WHERE hash = $1 AND revoked_at IS NULL"
        " AND expires_at > now() AND used < boxes RETURNING *),"
        /* the same box, by an earlier token: its name is free before it is taken again, and so is its place there */
        " o AS (DELETE FROM pending_devices o USING e WHERE o.thumbprint = $2 AND o.enrolment <> e.id"
        " AND o.state = 'pending' RETURNING o.enrolment),"
        " f AS (UPDATE enrolments t SET used = t.used - 1 FROM o WHERE t.id = o.enrolment),"
        " p AS (INSERT INTO pending_devices(enrolment, thumbprint, device, bootstrap_hash, machine, peer, state,"
        " decided_at, decided_by) SELECT id, $2, $3, $4, $5::jsonb, $6, CASE WHEN auto_approve THEN 'approved'"
        " ELSE 'pending' END, CASE WHEN auto_approve THEN now() END, CASE WHEN auto_approve THEN 'enrolment:' || id END"
        " FROM e WHERE (SELECT count(*) FROM o) >= 0 RETURNING *),"
        " d AS (INSERT INTO devices(id, labels, created_by) SELECT p.device, e.labels, 'enrolment:' || e.id FROM p, e"
        " WHERE p.state = 'approved' RETURNING id),"
        " b AS (INSERT INTO bootstraps(device, hash, created_by, expires_at) SELECT d.id, $4, 'enrolment:' || e.id,"
        " now() + make_interval(hours => $7::integer) FROM d, e RETURNING device),"
        /* not of a box that only goes from one token to the other, as often as it likes */
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT 'enrolment:' || enrolment, 'device.' || state,"
        " device, jsonb_build_object('enrolment', enrolment, 'thumbprint', thumbprint, 'machine', machine, 'peer',"
        " peer) FROM p WHERE state = 'approved' OR NOT EXISTS (SELECT 1 FROM o))"
        " SELECT state FROM p",
        sql_text(ask->hash), sql_text(ask->thumbprint), sql_text(ask->device), sql_text(ask->bootstrap_hash),
        sql_text(ask->machine), sql_text(ask->peer), sql_number(ask->bootstrap_hours));
}

Statement sql_pending(void)
{
    return (Statement) { .sql = "SELECT jsonb_build_object('device', p.device, 'thumbprint', p.thumbprint, 'machine',"
                                " p.machine, 'peer', p.peer, 'enrolment', p.enrolment, 'labels', e.labels, 'askedAt',"
                                " secbox_time(p.created_at), 'lastSeenAt', secbox_time(p.seen_at))"
                                " FROM pending_devices p JOIN enrolments e ON e.id = p.enrolment"
                                " WHERE p.state = 'pending' ORDER BY p.created_at, p.device" };
}

/* No ON CONFLICT: should the name be registered at the same moment, all of it fails, and the box goes on waiting. */
Statement sql_pending_approve(const char *device, unsigned bootstrap_hours, const char *actor)
{
    return STATEMENT(
        "WITH p AS (UPDATE pending_devices SET state = 'approved', decided_at = now(), decided_by = $2"
        " WHERE device = $1 AND state = 'pending' AND NOT EXISTS (SELECT 1 FROM devices WHERE id = $1) RETURNING *),"
        " d AS (INSERT INTO devices(id, labels, created_by) SELECT p.device, e.labels, $2 FROM p"
        " JOIN enrolments e ON e.id = p.enrolment RETURNING *),"
        " b AS (INSERT INTO bootstraps(device, hash, created_by, expires_at) SELECT device, bootstrap_hash, $2,"
        " now() + make_interval(hours => $3::integer) FROM p),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $2, 'device.approved', device,"
        " jsonb_build_object('enrolment', enrolment, 'thumbprint', thumbprint, 'machine', machine, 'peer', peer)"
        " FROM p)"
        " SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON ")) FROM d",
        sql_text(device), sql_text(actor), sql_number(bootstrap_hours));
}

Statement sql_pending_deny(const char *device, const char *actor)
{
    return STATEMENT("WITH p AS (UPDATE pending_devices SET state = 'denied', decided_at = now(), decided_by = $2"
                     " WHERE device = $1 AND state = 'pending' RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $2, 'device.denied', device,"
                     " jsonb_build_object('enrolment', enrolment, 'thumbprint', thumbprint) FROM p)"
                     " SELECT device FROM p",
                     sql_text(device), sql_text(actor));
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/deployments-table.h"

#include <errno.h>

#include "lib/base/strv.h"

/* of one answer */
#define EVENTS_LIMIT "500"

#define DEPLOYMENT_JSON                                                                                                \
    "jsonb_strip_nulls(jsonb_build_object('id', d.id, 'device', d.device, 'version', d.version::text,"                 \
    " 'kind', d.kind, 'sha256', nullif(d.sha256, ''), 'image', d.image, 'digest', d.digest,"                           \
    " 'service', d.service, 'rollout', d.rollout, 'target', d.target, 'project', nullif(d.project, 'secbox'),"         \
    " 'requestedBy', d.requested_by, 'reason', d.reason, 'state', d.state, 'signed', d.envelope IS NOT NULL OR NULL,"  \
    " 'phase', d.phase, 'status', d.status, 'confirmDeadlineSeconds', d.confirm_deadline,"                             \
    " 'outcome', d.result->'outcome', 'failedPhase', d.result->'failedPhase', 'error', d.result->'error',"             \
    " 'noop', d.result->'noop', 'seconds', d.result->'seconds',"                                                       \
    " 'createdAt', secbox_time(d.created_at), 'finishedAt', secbox_time(d.finished_at)))"

#define RESULT_JSON "CASE WHEN d.result IS NULL THEN '{}' ELSE jsonb_build_object('result', d.result) END"

/* the next version of a box: above its own and above what the box has spoken of */
#define NEXT_VERSION                                                                                                   \
    "v AS (SELECT greatest(coalesce(max(version), 0), $2::bigint) + 1 AS version"                                      \
    " FROM deployments WHERE device = $1),"

static const char *const kinds[] = {
    [DEPLOYMENT_COMPOSE] = "compose", [DEPLOYMENT_UPDATE] = "update",   [DEPLOYMENT_ROLLBACK] = "rollback",
    [DEPLOYMENT_AGENT] = "agent",     [DEPLOYMENT_RELEASE] = "release",
};

static DeploymentKind deployment_kind_from(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (str_equal(kinds[i], name))
            return (DeploymentKind) i;
    return DEPLOYMENT_COMPOSE;
}

Statement sql_deployment(const char *device, uint64_t version)
{
    return STATEMENT("SELECT jsonb_strip_nulls(jsonb_build_object('deployment', " DEPLOYMENT_JSON ")) || " RESULT_JSON
                     ", d.status FROM deployments d WHERE d.device = $1 AND d.version = $2::bigint",
                     sql_text(device), sql_number((int64_t) version));
}

/* One that was made at the box, in the form of the others. */
#define LOCAL_JSON                                                                                                     \
    "a.detail || jsonb_build_object('device', a.device, 'state', coalesce(a.detail->>'outcome', 'failed'),"            \
    " 'requestedBy', a.actor, 'local', true, 'createdAt', secbox_time(a.at), 'finishedAt', secbox_time(a.at))"

Statement sql_deployments(const char *device, const char *project, uint64_t limit)
{
    return STATEMENT(
        "SELECT jsonb_build_object('deployments', coalesce(jsonb_agg(x.entry ORDER BY x.at DESC, x.version DESC),"
        " '[]'::jsonb)), EXISTS (SELECT 1 FROM devices WHERE id = $1) FROM ("
        "(SELECT " DEPLOYMENT_JSON " AS entry, d.created_at AS at, d.version FROM deployments d"
        " WHERE d.device = $1 AND d.project = coalesce($3, 'secbox') ORDER BY d.version DESC LIMIT $2::bigint)"
        " UNION ALL (SELECT " LOCAL_JSON ", a.at, 0 FROM audit a WHERE a.device = $1"
        " AND coalesce(a.detail->>'project', 'secbox') = coalesce($3, 'secbox')"
        " AND a.action = '" LOCAL_RESULT_ACTION "' AND a.at >= (SELECT created_at FROM devices WHERE id = $1)"
        " ORDER BY a.id DESC LIMIT $2::bigint)"
        " ORDER BY at DESC, version DESC LIMIT $2::bigint) x",
        sql_text(device), sql_number((int64_t) limit), sql_text(project));
}

Statement sql_deployment_events(const char *device, uint64_t version, int64_t after)
{
    return STATEMENT("SELECT jsonb_build_object('deployment', " DEPLOYMENT_JSON
                     ", 'events', coalesce(e.list, '[]'::jsonb)) || " RESULT_JSON ","
                     " d.state, e.list IS NULL"
                     " FROM deployments d LEFT JOIN LATERAL (SELECT jsonb_agg(x.event ORDER BY x.seq) AS list FROM"
                     " (SELECT event, seq FROM deployment_events WHERE device = d.device AND version = d.version"
                     " AND seq > $3::bigint ORDER BY seq LIMIT " EVENTS_LIMIT ") x) e ON true"
                     " WHERE d.device = $1 AND d.version = $2::bigint",
                     sql_text(device), sql_number((int64_t) version), sql_number(after));
}

Statement sql_deployments_open(void)
{
    return (Statement) { .sql =
                             "SELECT device, version, id, nonce, confirm_deadline, progressed_at IS NOT NULL,"
                             " extract(epoch FROM now() - coalesce(progressed_at, created_at))::bigint, kind, rollout"
                             " FROM deployments WHERE state = 'open'" };
}

int open_deployment_row(const StoreRows *rows, size_t row, OpenDeploymentRow *ret)
{
    uint64_t deadline;
    *ret = (OpenDeploymentRow) {
        .device = store_rows_get(rows, row, 0),
        .id = store_rows_get(rows, row, 2),
        .nonce = store_rows_get(rows, row, 3),
        .progressed = store_rows_true(rows, row, 5),
        .kind = deployment_kind_from(store_rows_get(rows, row, 7)),
        .rollout = store_rows_get(rows, row, 8),
    };
    if (store_rows_u64(rows, row, 1, UINT64_MAX, &ret->version) < 0 || ret->version == 0 ||
        store_rows_u64(rows, row, 4, UINT32_MAX, &deadline) < 0)
        return -EBADMSG;
    ret->confirm_deadline = (unsigned) deadline;
    /* the clock may have been set back since */
    if (store_rows_u64(rows, row, 6, INT32_MAX, &ret->silent) < 0)
        ret->silent = 0;
    return 0;
}

Statement sql_deployment_content(const char *id)
{
    return STATEMENT(
        "SELECT compose, image, digest, service, target, envelope, nullif(project, 'secbox') FROM deployments"
        " WHERE id = $1 AND state = 'open'",
        sql_text(id));
}

Statement sql_deployment_add(const NewDeployment *d)
{
    return STATEMENT(
        "WITH " NEXT_VERSION
        " d AS (INSERT INTO deployments(device, version, id, sha256, compose, requested_by, reason, nonce,"
        " confirm_deadline, kind, target, envelope, digest, project)"
        " SELECT $1, version, $3, $4, $5, $6, $7, $8, $9::integer, $10, $11, $12, $13, coalesce($14, 'secbox') FROM v"
        " ON CONFLICT DO NOTHING RETURNING device, version),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $6,"
        " CASE $10::text WHEN 'rollback' THEN 'compose.rollback' WHEN 'agent' THEN 'agent.update'"
        " WHEN 'release' THEN 'release.update' ELSE 'compose.push' END, device,"
        " jsonb_build_object('id', $3::text, 'version', version::text, 'reason', $7::text)"
        " || jsonb_strip_nulls(jsonb_build_object('sha256', nullif($4::text, ''), 'target', $11::text,"
        " 'digest', $13::text, 'project', $14::text)) FROM d),"
        /* it is newer than what waited */
        " w AS (DELETE FROM waiting_pushes WHERE $10::text NOT IN ('agent', 'release')"
        " AND project = coalesce($14, 'secbox') AND device IN (SELECT device FROM d))"
        " SELECT version FROM d",
        sql_text(d->device), sql_number((int64_t) d->version_floor), sql_text(d->id), sql_text(d->sha256),
        sql_text(d->compose), sql_text(d->actor), sql_text(d->reason), sql_text(d->nonce),
        sql_number(d->confirm_deadline), sql_text(kinds[d->kind]), sql_text(d->target), sql_text(d->envelope),
        sql_text(d->digest), sql_text(d->project));
}

Statement sql_deployment_has_bundle(const char *device, const char *digest)
{
    return STATEMENT("SELECT EXISTS (SELECT 1 FROM deployments WHERE device = $1 AND kind IN ('compose', 'release')"
                     " AND digest = $2)",
                     sql_text(device), sql_text(digest));
}

Statement sql_bundles_wanted(void)
{
    return (Statement) {
        .sql = "SELECT digest FROM deployments WHERE kind IN ('compose', 'release') AND state = 'open'"
               " AND digest IS NOT NULL"
               " UNION SELECT bundle FROM waiting_pushes WHERE bundle IS NOT NULL"
               " UNION SELECT bundle FROM templates WHERE bundle IS NOT NULL"
               " UNION SELECT digest FROM rollouts r WHERE kind IN ('compose', 'release', 'project') AND digest IS NOT "
               "NULL"
               " AND state <> 'aborted' AND (state <> 'done' OR EXISTS (SELECT 1 FROM rollout_boxes b"
               " WHERE b.rollout = r.id AND b.state IN ('waiting', 'offline', 'sent')))",
    };
}

Statement sql_deployment_add_turn(const NewDeployment *d, const char *rollout)
{
    return STATEMENT(
        "WITH " NEXT_VERSION " r AS (SELECT * FROM rollouts WHERE id = $5 AND state IN ('running', 'soaking', 'done')),"
        " b AS (UPDATE rollout_boxes b SET state = 'sent', deployment = $3, version = v.version,"
        " attempts = attempts + 1, sent_at = now(), error = NULL, finished_at = NULL FROM v, r"
        " WHERE b.rollout = r.id AND b.device = $1 AND b.state IN ('waiting', 'offline')"
        " AND b.group_index <= r.group_index RETURNING b.device, v.version),"
        " d AS (INSERT INTO deployments(device, version, id, sha256, compose, requested_by, reason, nonce,"
        " confirm_deadline, kind, image, digest, service, target, envelope, rollout, project)"
        " SELECT b.device, b.version, $3, r.sha256, r.compose, r.created_by, r.reason, $4, r.confirm_deadline,"
        " CASE r.kind WHEN 'project' THEN 'compose' ELSE r.kind END, r.image, r.digest, r.service, r.target,"
        " r.envelope, r.id, r.project FROM b, r RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT requested_by,"
        " CASE kind WHEN 'update' THEN 'image.update' WHEN 'agent' THEN 'agent.update'"
        " WHEN 'release' THEN 'release.update' ELSE 'compose.push' END, device,"
        " jsonb_strip_nulls(jsonb_build_object('id', id, 'version', version::text, 'rollout', rollout,"
        " 'image', image, 'digest', digest, 'target', target, 'sha256', nullif(sha256, ''), 'reason', reason,"
        " 'project', nullif(project, 'secbox'))) FROM d),"
        " w AS (DELETE FROM waiting_pushes WHERE (device, project) IN"
        " (SELECT device, project FROM d WHERE kind = 'compose'))"
        " SELECT version, envelope FROM d",
        sql_text(d->device), sql_number((int64_t) d->version_floor), sql_text(d->id), sql_text(d->nonce),
        sql_text(rollout));
}

Statement sql_deployment_progress(const char *device, uint64_t version, const char *events, const char *phase)
{
    return STATEMENT("WITH e AS (INSERT INTO deployment_events(device, version, seq, event)"
                     " SELECT $1, $2::bigint, (x->>'seq')::bigint, x FROM jsonb_array_elements($3::jsonb) x"
                     " ON CONFLICT DO NOTHING)"
                     " UPDATE deployments SET phase = $4, progressed_at = now()"
                     " WHERE device = $1 AND version = $2::bigint",
                     sql_text(device), sql_number((int64_t) version), sql_text(events), sql_text(phase));
}

Statement sql_deployment_end(const DeploymentEnd *e)
{
    return STATEMENT(
        "WITH d AS (UPDATE deployments SET state = $3, phase = $4, status = $5::integer, result = $6::jsonb,"
        " finished_at = now() WHERE device = $1 AND id = $2 AND state IN ('open', 'unknown')"
        " RETURNING version, kind, rollout, project),"
        " b AS (UPDATE rollout_boxes b SET error = $6::jsonb->'error', finished_at = now(),"
        " attempts = CASE WHEN $8 = 'offline' THEN 0 ELSE attempts END,"
        " state = CASE WHEN attempts >= $12::integer THEN $11 ELSE $8 END FROM d"
        " WHERE b.rollout = d.rollout AND b.device = $1 AND b.deployment = $2 AND b.state = ANY ($9::text[])"
        " RETURNING b.rollout, b.state),"
        " a AS (INSERT INTO audit(actor, action, device, alarm, detail) SELECT $7,"
        " CASE kind WHEN 'update' THEN 'image.update-result' WHEN 'agent' THEN 'agent.update-result'"
        " WHEN 'release' THEN 'release.update-result' ELSE 'compose.result' END, $1,"
        " $10::boolean, jsonb_strip_nulls(jsonb_build_object('id', $2::text,"
        " 'version', version::text, 'outcome', $3::text, 'phase', $4::text, 'status', $5::integer,"
        " 'rollout', rollout, 'project', nullif(project, 'secbox'))) FROM d)"
        " SELECT (SELECT version FROM d), EXISTS (SELECT 1 FROM deployments WHERE device = $1 AND id = $2),"
        " (SELECT rollout FROM b), (SELECT state FROM b)",
        sql_text(e->device), sql_text(e->id), sql_text(e->state), sql_text(e->phase), sql_number(e->status),
        sql_text(e->result), sql_text(e->actor), sql_text(e->box_state), sql_text(e->box_states_before),
        sql_flag(e->alarm), sql_text(e->box_state_at_limit), sql_number(e->attempts_max));
}

DeploymentEndRow deployment_end_row(const StoreRows *rows)
{
    return (DeploymentEndRow) {
        .version = store_rows_get(rows, 0, 0),
        .known = store_rows_true(rows, 0, 1),
        .rollout = store_rows_get(rows, 0, 2),
        .box_state = store_rows_get(rows, 0, 3),
    };
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/rollouts-table.h"

#include <errno.h>

/* of each list of boxes in one answer */
#define BOXES_SHOWN "200"
/* images that boxes are told to leave alone */
#define HALTED_MAX "64"
/* rollouts that have not ended, and boxes that they still wait for */
#define OPEN_STATES "('running', 'soaking', 'paused', 'halted')"
#define UNFINISHED_BOXES "('waiting', 'offline', 'sent')"

#define ROLLOUT_JSON                                                                                                   \
    "jsonb_strip_nulls(jsonb_build_object('id', r.id, 'project', nullif(r.project, 'secbox'),"                         \
    " 'kind', CASE r.kind WHEN 'project' THEN 'compose' ELSE r.kind END, 'image', r.image, 'digest', r.digest,"        \
    " 'target', r.target, 'service', r.service, 'sha256', nullif(r.sha256, ''), 'labels', nullif(r.labels, "           \
    "'{}'::jsonb),"                                                                                                    \
    " 'reason', r.reason, 'state', r.state, 'group', r.group_index,"                                                   \
    " 'haltAt', trim(TRAILING '.' FROM to_char(r.halt_at / 100.0, 'FM990.99')) || '%',"                                \
    " 'soakSeconds', r.soak_seconds, 'parallel', r.parallel, 'offlineAfterSeconds', r.offline_after,"                  \
    " 'confirmDeadlineSeconds', r.confirm_deadline, 'error', r.halted, 'createdBy', r.created_by,"                     \
    " 'createdAt', secbox_time(r.created_at), 'finishedAt', secbox_time(r.finished_at),"                               \
    " 'soakEndsAt', secbox_time(r.soaking_since + make_interval(secs => r.soak_seconds)),"                             \
    " 'groups', (SELECT jsonb_agg(jsonb_build_object('name', g.name, 'boxes', coalesce(b.boxes, 0),"                   \
    " 'waiting', coalesce(b.waiting, 0), 'offline', coalesce(b.offline, 0), 'sent', coalesce(b.sent, 0),"              \
    " 'done', coalesce(b.done, 0), 'failed', coalesce(b.failed, 0),"                                                   \
    " 'rolledBack', coalesce(b.rolled_back, 0), 'skipped', coalesce(b.skipped, 0)) ORDER BY g.n)"                      \
    " FROM jsonb_array_elements_text(r.groups) WITH ORDINALITY g(name, n) LEFT JOIN"                                   \
    " (SELECT group_index, count(*) AS boxes, count(*) FILTER (WHERE state = 'waiting') AS waiting,"                   \
    " count(*) FILTER (WHERE state = 'offline') AS offline, count(*) FILTER (WHERE state = 'sent') AS sent,"           \
    " count(*) FILTER (WHERE state = 'done') AS done, count(*) FILTER (WHERE state = 'failed') AS failed,"             \
    " count(*) FILTER (WHERE state = 'rolled-back') AS rolled_back,"                                                   \
    " count(*) FILTER (WHERE state = 'skipped') AS skipped"                                                            \
    " FROM rollout_boxes WHERE rollout = r.id GROUP BY group_index) b ON b.group_index = g.n - 1)))"

#define BOXES_JSON(states)                                                                                             \
    "(SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('device', b.device,"                              \
    " 'group', b.group_index, 'state', b.state, 'version', b.version::text, 'attempts', b.attempts,"                   \
    " 'error', b.error, 'sentAt', secbox_time(b.sent_at), 'finishedAt', secbox_time(b.finished_at)))"                  \
    " ORDER BY b.group_index, b.position), '[]'::jsonb) FROM (SELECT * FROM rollout_boxes"                             \
    " WHERE rollout = r.id AND state IN (" states ") ORDER BY group_index, position LIMIT " BOXES_SHOWN ") b)"

/* An image without its tag means every tag of it: a rollout of that and one of a tag are of the same. The boxes come as an array:
 * comparing with that is hashed, however little PostgreSQL knows of the tables, where a join might try every pair. */
static const char add_sql[] =
    "WITH new AS (SELECT * FROM jsonb_to_recordset($1::jsonb) AS n(device text, position integer, \"group\""
    " integer)),"
    " same AS (SELECT id, state FROM rollouts WHERE kind = $3 AND project = coalesce($22, 'secbox') AND ($3 <> 'update'"
    " OR image IN ($4, regexp_replace($4, ':[^/:]*$', '')) OR regexp_replace(image, ':[^/:]*$', '') = $4)),"
    " busy AS (SELECT s.id FROM same s WHERE s.state IN " OPEN_STATES
    " AND EXISTS (SELECT 1 FROM rollout_boxes b WHERE b.rollout = s.id AND b.device = ANY ($19::text[])"
    " AND b.state IN " UNFINISHED_BOXES ") LIMIT 1),"
    " r AS (INSERT INTO rollouts(id, kind, image, digest, service, compose, sha256, labels, groups, halt_at,"
    " soak_seconds, parallel, offline_after, confirm_deadline, reason, created_by, target, envelope, project)"
    " SELECT $2, $3, nullif($4, ''), nullif($5, ''), $6, $7, $8, $9::jsonb, $10::jsonb, $11::integer,"
    " $12::integer, $13::integer, $14::integer, $15::integer, $16, $17, $20, $21, coalesce($22, 'secbox')"
    " WHERE NOT EXISTS (SELECT 1 FROM busy)"
    " AND (SELECT count(*) FROM rollouts WHERE state IN " OPEN_STATES ")"
    " < $18::integer RETURNING *),"
    " b AS (INSERT INTO rollout_boxes(rollout, device, position, group_index)"
    " SELECT r.id, new.device, new.position, new.\"group\" FROM r, new),"
    " old AS (UPDATE rollout_boxes o SET state = 'skipped', finished_at = now(),"
    " error = jsonb_build_object('id', 'rollout.superseded', 'message', 'rollout ' || r.id || ' took its"
    " place') FROM r, same s WHERE o.rollout = s.id AND s.state = 'done' AND o.device = ANY ($19::text[])"
    " AND o.state IN ('waiting', 'offline')),"
    " a AS (INSERT INTO audit(actor, action, detail) SELECT created_by, 'rollout.started',"
    " jsonb_strip_nulls(jsonb_build_object('rollout', id, 'image', image, 'digest', digest, 'target', target,"
    " 'service', service, 'sha256', nullif(sha256, ''), 'groups', groups, 'boxes', (SELECT count(*) FROM new),"
    " 'project', nullif(project, 'secbox'), 'reason', reason)) FROM r)"
    " SELECT (SELECT id FROM r), (SELECT id FROM busy)";

Statement sql_rollout_add(const NewRollout *n)
{
    return STATEMENT(add_sql, sql_text(n->boxes), sql_text(n->id),
                     sql_text(n->image                 ? "update"
                              : n->target && n->digest ? "release"
                              : n->target              ? "agent"
                              : n->project             ? "project"
                                                       : "compose"),
                     sql_text(n->image ? n->image : ""), sql_text(n->digest ? n->digest : ""), sql_text(n->service),
                     sql_text(n->compose), sql_text(n->sha256), sql_text(n->labels), sql_text(n->groups),
                     sql_number(n->halt_at), sql_number((int64_t) n->soak_seconds), sql_number((int64_t) n->parallel),
                     sql_number((int64_t) n->offline_after), sql_number((int64_t) n->confirm_deadline),
                     sql_text(n->reason), sql_text(n->actor), sql_number(n->open_max), sql_text(n->devices),
                     sql_text(n->target), sql_text(n->envelope), sql_text(n->project));
}

Statement sql_rollouts(uint64_t limit, const char *labels)
{
    return STATEMENT("SELECT jsonb_build_object('rollouts', coalesce(jsonb_agg(" ROLLOUT_JSON
                     " ORDER BY r.created_at DESC), '[]'::jsonb))"
                     " FROM (SELECT * FROM rollouts o WHERE $2::text IS NULL OR NOT EXISTS (SELECT FROM rollout_boxes b"
                     " JOIN devices d ON d.id = b.device WHERE b.rollout = o.id AND NOT d.labels @> $2::jsonb)"
                     " ORDER BY created_at DESC LIMIT $1::bigint) r",
                     sql_number((int64_t) limit), sql_text(labels));
}

Statement sql_rollout(const char *id)
{
    return STATEMENT(
        "SELECT jsonb_build_object('rollout', x.rollout, 'mark', md5(x.rollout::text)), md5(x.rollout::text)"
        " FROM (SELECT " ROLLOUT_JSON
        " || jsonb_build_object('failures', " BOXES_JSON("'failed', 'rolled-back'") ", 'underWay', " BOXES_JSON(
            "'sent'") ", 'offline', " BOXES_JSON("'offline'") ", 'skipped', " BOXES_JSON("'skipped'") ") AS rollout"
                                                                                                      " FROM rollouts "
                                                                                                      "r WHERE r.id = "
                                                                                                      "$1) x",
        sql_text(id));
}

Statement sql_rollout_change(const RolloutChange *c)
{
    return STATEMENT("WITH u AS (UPDATE rollouts SET state = $3, soaking_since = NULL,"
                     " halted = CASE WHEN $6::boolean THEN NULL ELSE halted END,"
                     " finished_at = CASE WHEN $7::boolean THEN now() END,"
                     " forgiven = CASE WHEN $6::boolean THEN (SELECT count(*) FROM rollout_boxes"
                     " WHERE rollout = $1 AND state IN ('failed', 'rolled-back')) ELSE forgiven END"
                     " WHERE id = $1 AND state = ANY ($2::text[]) RETURNING id, forgiven),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT $4, $5,"
                     " jsonb_build_object('rollout', id, 'forgiven', forgiven) FROM u)"
                     " SELECT state, EXISTS (SELECT 1 FROM u) FROM rollouts WHERE id = $1",
                     sql_text(c->id), sql_text(c->states_before), sql_text(c->state), sql_text(c->actor),
                     sql_text(c->action), sql_flag(c->forgive), sql_flag(c->finished));
}

Statement sql_rollout_step(const RolloutStep *s)
{
    return STATEMENT(
        "WITH r AS (UPDATE rollouts SET state = $4, group_index = group_index + $5::integer, halted = $6::jsonb,"
        " soaking_since = CASE WHEN $9::boolean THEN now() END,"
        " finished_at = CASE WHEN $10::boolean THEN now() END"
        " WHERE id = $1 AND state = $2 AND group_index = $3::integer RETURNING halted),"
        " a AS (INSERT INTO audit(actor, action, alarm, detail)"
        " SELECT 'gateway', $7, halted IS NOT NULL, $8::jsonb FROM r)"
        " SELECT 1 FROM r",
        sql_text(s->id), sql_text(s->state_before), sql_number((int64_t) s->group_before), sql_text(s->state),
        sql_number(s->next_group), sql_text(s->halted), sql_text(s->action), sql_text(s->detail), sql_flag(s->soaks),
        sql_flag(s->finished));
}

Statement sql_rollout_boxes_away(const char *rollout, const char *devices)
{
    return STATEMENT("UPDATE rollout_boxes SET state = 'offline' WHERE rollout = $1 AND device = ANY ($2::text[])"
                     " AND state = 'waiting' RETURNING device",
                     sql_text(rollout), sql_text(devices));
}

Statement sql_rollout_box_skip(const char *rollout, const char *device, const char *error)
{
    return STATEMENT("UPDATE rollout_boxes SET state = 'skipped', error = $3::jsonb, finished_at = now()"
                     " WHERE rollout = $1 AND device = $2 AND state IN ('waiting', 'offline') RETURNING device",
                     sql_text(rollout), sql_text(device), sql_text(error));
}

Statement sql_rollouts_halted(void)
{
    return (Statement) {
        .sql = "SELECT r.digest FROM rollouts r WHERE r.kind = 'update' AND r.halted IS NOT NULL"
               " AND r.state IN ('halted', 'aborted') AND NOT EXISTS (SELECT 1 FROM rollouts l WHERE l.kind = 'update'"
               " AND l.digest = r.digest AND l.created_at > r.created_at) ORDER BY r.created_at DESC LIMIT " HALTED_MAX,
    };
}

Statement sql_rollouts_open(void)
{
    return (Statement) {
        .sql = "SELECT r.id, r.kind = 'update', r.image, r.digest, r.service, r.compose, r.groups::text, r.halt_at,"
               " r.parallel, r.soak_seconds, r.offline_after, r.confirm_deadline, r.state, r.group_index, r.forgiven,"
               " extract(epoch FROM now() - r.soaking_since)::bigint, r.target, r.envelope IS NOT NULL,"
               " nullif(r.project, 'secbox') FROM rollouts r"
               " WHERE r.state <> 'aborted'"
               " AND (r.state <> 'done' OR EXISTS (SELECT 1 FROM rollout_boxes b WHERE b.rollout = r.id"
               " AND b.state IN " UNFINISHED_BOXES ")) ORDER BY r.created_at",
    };
}

int rollout_row(const StoreRows *rows, size_t row, RolloutRow *ret)
{
    *ret = (RolloutRow) {
        .id = store_rows_get(rows, row, 0),
        .update = store_rows_true(rows, row, 1),
        .image = store_rows_get(rows, row, 2),
        .digest = store_rows_get(rows, row, 3),
        .service = store_rows_get(rows, row, 4),
        .compose = store_rows_get(rows, row, 5),
        .groups = store_rows_get(rows, row, 6),
        .state = store_rows_get(rows, row, 12),
        .target = store_rows_get(rows, row, 16),
        .is_signed = store_rows_true(rows, row, 17),
        .project = store_rows_get(rows, row, 18),
    };
    uint64_t *const numbers[] = { &ret->halt_at, &ret->parallel, &ret->soak_seconds, &ret->offline_after,
                                  &ret->confirm_deadline };
    for (unsigned i = 0; i < ELEMENTSOF(numbers); i++)
        if (store_rows_u64(rows, row, 7 + i, INT32_MAX, numbers[i]) < 0)
            return -EBADMSG;
    if (store_rows_u64(rows, row, 13, INT32_MAX, &ret->group) < 0 ||
        store_rows_u64(rows, row, 14, INT32_MAX, &ret->forgiven) < 0)
        return -EBADMSG;
    /* the clock may have been set back since: then it soaks anew */
    if (store_rows_u64(rows, row, 15, INT32_MAX, &ret->soaked) < 0)
        ret->soaked = 0;
    return 0;
}

Statement sql_rollout_boxes(void)
{
    return (Statement) {
        .sql = "SELECT b.rollout, b.device, b.group_index, b.state FROM rollout_boxes b JOIN rollouts r"
               " ON r.id = b.rollout WHERE r.state <> 'aborted' ORDER BY b.rollout, b.group_index, b.position",
    };
}

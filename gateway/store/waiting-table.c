/* SPDX-License-Identifier: MIT */
#include "gateway/store/waiting-table.h"

const char schema_waiting[] = "CREATE TABLE waiting_pushes ("
                              " device text PRIMARY KEY REFERENCES devices(id) ON DELETE CASCADE,"
                              " compose text NOT NULL,"
                              " sha256 text NOT NULL,"
                              " requested_by text NOT NULL,"
                              " reason text,"
                              " confirm_deadline integer NOT NULL,"
                              " created_at timestamptz NOT NULL DEFAULT now());\n"
                              "CREATE TABLE templates ("
                              " name text PRIMARY KEY,"
                              " selector jsonb NOT NULL,"
                              " compose text NOT NULL,"
                              " sha256 text NOT NULL,"
                              " created_by text NOT NULL,"
                              " created_at timestamptz NOT NULL DEFAULT now());\n";

Statement sql_waiting_known(void)
{
    return (Statement) { .sql = "SELECT DISTINCT device FROM waiting_pushes"
                                " UNION ALL SELECT NULL WHERE EXISTS (SELECT 1 FROM templates)" };
}

#define WAITING_JSON                                                                                                   \
    "jsonb_strip_nulls(jsonb_build_object('device', w.device, 'sha256', w.sha256, 'requestedBy', w.requested_by,"      \
    " 'digest', w.bundle, 'project', nullif(w.project, 'secbox'), 'reason', w.reason,"                                 \
    " 'createdAt', secbox_time(w.created_at)))"

Statement sql_waiting_put(const NewDeployment *d)
{
    return STATEMENT(
        "WITH w AS (INSERT INTO waiting_pushes(device, compose, sha256, requested_by, reason, confirm_deadline,"
        " envelope, bundle, project) SELECT id, $2, $3, $4, $5, $6::integer, $7, $8, coalesce($9, 'secbox')"
        " FROM devices WHERE id = $1"
        " ON CONFLICT (device, project) DO UPDATE SET compose = excluded.compose, sha256 = excluded.sha256,"
        " requested_by = excluded.requested_by, reason = excluded.reason,"
        " confirm_deadline = excluded.confirm_deadline, envelope = excluded.envelope, bundle = excluded.bundle,"
        " created_at = now() RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $4, 'compose.push-waits', device,"
        " jsonb_strip_nulls(jsonb_build_object('sha256', sha256, 'digest', bundle, 'project', nullif(project, "
        "'secbox'),"
        " 'reason', reason)) FROM w)"
        " SELECT jsonb_build_object('waiting', " WAITING_JSON ") FROM w",
        sql_text(d->device), sql_text(d->compose), sql_text(d->sha256), sql_text(d->actor), sql_text(d->reason),
        sql_number(d->confirm_deadline), sql_text(d->envelope), sql_text(d->digest), sql_text(d->project));
}

Statement sql_waiting_cancel(const char *device, const char *project, const char *actor)
{
    return STATEMENT(
        "WITH w AS (DELETE FROM waiting_pushes WHERE device = $1 AND ($3::text IS NULL OR project = $3) RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $2, 'compose.push-cancelled', device,"
        " jsonb_strip_nulls(jsonb_build_object('sha256', sha256, 'project', nullif(project, 'secbox'))) FROM w)"
        " SELECT device FROM w",
        sql_text(device), sql_text(actor), sql_text(project));
}

#define TEMPLATE_WAITS "template.waits"

/* What never left the gateway, since the box's agent was too old, was sent to nobody; an update of that agent is no service. A box
 * can say the same of what it was sent, and is believed so often. */
#define UNSENT_MAX "3"
#define WAS_SENT_SOMETHING                                                                                             \
    "SELECT 1 FROM deployments WHERE device = $1 AND project = 'secbox' AND kind <> 'agent'"                           \
    " HAVING count(*) FILTER (WHERE coalesce(result->'error'->>'id', '')"                                              \
    " NOT IN ('order.unsupported', 'bundle.unsupported')) > 0 OR count(*) > " UNSENT_MAX

Statement sql_deployment_add_waiting(const NewDeployment *d, bool blank, bool takes_signed, bool takes_files)
{
    return STATEMENT(
        "WITH v AS (SELECT greatest(coalesce(max(version), 0), $2::bigint) + 1 AS version"
        " FROM deployments WHERE device = $1),"
        " w AS (DELETE FROM waiting_pushes WHERE device = $1 AND project = (SELECT project FROM waiting_pushes"
        " WHERE device = $1 ORDER BY project <> 'secbox', created_at LIMIT 1) RETURNING *),"
        " best AS (SELECT t.* FROM templates t JOIN devices x ON x.id = $1 AND x.labels @> t.selector"
        " WHERE $6::boolean AND NOT EXISTS (SELECT 1 FROM w) AND NOT EXISTS (" WAS_SENT_SOMETHING ")"
        " ORDER BY (SELECT count(*) FROM jsonb_object_keys(t.selector)) DESC, t.name LIMIT 1),"
        " t AS (SELECT * FROM best WHERE (envelope IS NULL OR $7::boolean) AND (bundle IS NULL OR $8::boolean)),"
        " h AS (INSERT INTO audit(actor, action, device, detail) SELECT b.created_by, '" TEMPLATE_WAITS "', $1,"
        " jsonb_build_object('template', b.name, 'reason', CASE WHEN b.envelope IS NULL OR $7::boolean"
        " THEN 'it brings files, and the agent is too old to take them: it comes once the agent is newer'"
        " ELSE 'it is signed, and the agent is too old to check that: it comes once the agent is newer' END)"
        " FROM best b WHERE NOT EXISTS (SELECT 1 FROM t) AND NOT EXISTS (SELECT 1 FROM audit a"
        " WHERE a.device = $1 AND a.action = '" TEMPLATE_WAITS "' AND a.detail->>'template' = b.name"
        " AND a.at >= greatest(b.created_at, (SELECT created_at FROM devices WHERE id = $1)))),"
        " s AS (SELECT compose, sha256, bundle, requested_by, reason, confirm_deadline, envelope,"
        " NULL::text AS template, project FROM w UNION ALL SELECT compose, sha256, bundle, created_by,"
        " 'template ' || name, $5::integer, envelope, name, 'secbox' FROM t),"
        " d AS (INSERT INTO deployments(device, version, id, sha256, compose, digest, requested_by, reason, nonce,"
        " confirm_deadline, envelope, project) SELECT $1, v.version, $3, s.sha256, s.compose, s.bundle, s.requested_by,"
        " s.reason, $4, s.confirm_deadline, s.envelope, s.project FROM s, v RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT d.requested_by, 'compose.push', d.device,"
        " jsonb_strip_nulls(jsonb_build_object('id', d.id, 'version', d.version::text, 'reason', d.reason,"
        " 'sha256', d.sha256, 'digest', d.digest, 'project', nullif(d.project, 'secbox'),"
        " 'waited', s.template IS NULL, 'template', s.template)) FROM d, s)"
        " SELECT version, compose, confirm_deadline, envelope, digest, nullif(project, 'secbox') FROM d",
        sql_text(d->device), sql_number((int64_t) d->version_floor), sql_text(d->id), sql_text(d->nonce),
        sql_number(d->confirm_deadline), sql_flag(blank), sql_flag(takes_signed), sql_flag(takes_files));
}

#define TEMPLATE_JSON                                                                                                  \
    "jsonb_strip_nulls(jsonb_build_object('name', t.name, 'selector', t.selector, 'sha256', t.sha256,"                 \
    " 'digest', t.bundle, 'createdBy', t.created_by, 'createdAt', secbox_time(t.created_at)))"

Statement sql_templates(void)
{
    return (Statement) { .sql = "SELECT jsonb_build_object('templates', coalesce(jsonb_agg(" TEMPLATE_JSON
                                " ORDER BY t.name), '[]'::jsonb)) FROM templates t" };
}

Statement sql_template(const char *name)
{
    return STATEMENT("SELECT jsonb_build_object('template', " TEMPLATE_JSON
                     " || jsonb_build_object('compose', t.compose)) FROM templates t WHERE t.name = $1",
                     sql_text(name));
}

Statement sql_template_put(const char *name, const char *selector, const char *compose, const char *sha256,
                           const char *bundle, const char *envelope, const char *actor)
{
    return STATEMENT("WITH t AS (INSERT INTO templates(name, selector, compose, sha256, created_by, envelope, bundle)"
                     " VALUES ($1, $2::jsonb, $3, $4, $5, $6, $7)"
                     " ON CONFLICT (name) DO UPDATE SET selector = excluded.selector, compose = excluded.compose,"
                     " sha256 = excluded.sha256, created_by = excluded.created_by, envelope = excluded.envelope, "
                     "bundle = excluded.bundle, created_at = now() RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT $5, 'template.set',"
                     " jsonb_strip_nulls(jsonb_build_object('name', name, 'selector', selector, 'sha256', sha256,"
                     " 'digest', bundle)) FROM t)"
                     " SELECT jsonb_build_object('template', " TEMPLATE_JSON ") FROM t",
                     sql_text(name), sql_text(selector), sql_text(compose), sql_text(sha256), sql_text(actor),
                     sql_text(envelope), sql_text(bundle));
}

Statement sql_template_remove(const char *name, const char *actor)
{
    return STATEMENT("WITH t AS (DELETE FROM templates WHERE name = $1 RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT $2, 'template.removed',"
                     " jsonb_build_object('name', name) FROM t)"
                     " SELECT name FROM t",
                     sql_text(name), sql_text(actor));
}

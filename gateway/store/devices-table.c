/* SPDX-License-Identifier: MIT */
#include "gateway/store/devices-table.h"

Statement sql_devices(const char *labels)
{
    return STATEMENT(
        "SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON ", 'last', CASE WHEN status ? 'last' THEN"
        " jsonb_build_object('version', status->'last'->'version', 'outcome', status->'last'->'outcome',"
        " 'status', status->'last'->'status', 'kind', status->'last'->'kind', 'at', status->'last'->'at') END,"
        " 'services', CASE WHEN jsonb_typeof(status->'services') = 'array' THEN"
        " (SELECT jsonb_agg(jsonb_build_object('name', s->'name', 'state', s->'state') ORDER BY s->>'name')"
        " FROM jsonb_array_elements(status->'services') s) END)) FROM devices"
        " WHERE $1::text IS NULL OR labels @> $1::jsonb ORDER BY id",
        sql_text(labels));
}

Statement sql_devices_reached(const char *ids, const char *labels, const char *unused_bundle)
{
    return STATEMENT("SELECT NOT EXISTS (SELECT FROM jsonb_array_elements_text($1::jsonb) i(id) WHERE NOT EXISTS"
                     " (SELECT FROM devices d WHERE d.id = i.id AND d.labels @> $2::jsonb)) AND ($3::text IS NULL OR"
                     " NOT EXISTS (SELECT FROM deployments WHERE kind = 'compose' AND digest = $3::text"
                     " UNION ALL SELECT FROM rollouts WHERE kind IN ('compose', 'project') AND digest = $3::text"
                     " UNION ALL SELECT FROM waiting_pushes WHERE bundle = $3::text"
                     " UNION ALL SELECT FROM templates WHERE bundle = $3::text))",
                     sql_text(ids), sql_text(labels), sql_text(unused_bundle));
}

Statement sql_device(const char *id)
{
    return STATEMENT(
        "SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON
        ", 'pending', status->'pending', 'last', status->'last', 'services', status->'services',"
        " 'statusAt', secbox_time(status_at),"
        " 'deployment', (SELECT jsonb_build_object('id', d.id, 'version', d.version::text, 'phase', d.phase)"
        " FROM deployments d WHERE d.device = devices.id AND d.state = 'open'),"
        " 'keys', (SELECT jsonb_object_agg(k.role, k.thumbprint) FROM device_keys k"
        " WHERE k.device = devices.id), 'vouched', vouched, 'hostKeys', NULLIF(host_keys, '{}'),"
        " 'waiting', (SELECT jsonb_build_object('sha256', w.sha256, 'requestedBy', w.requested_by, 'reason', w.reason,"
        " 'createdAt', secbox_time(w.created_at), 'project', nullif(w.project, 'secbox'),"
        " 'projects', (SELECT jsonb_agg(o.project ORDER BY o.created_at) FROM waiting_pushes o"
        " WHERE o.device = devices.id HAVING count(*) > 1))"
        " FROM waiting_pushes w WHERE w.device = devices.id ORDER BY w.project <> 'secbox', w.created_at LIMIT 1)"
        ")) FROM devices WHERE id = $1",
        sql_text(id));
}

Statement sql_device_add(const NewDevice *d)
{
    return STATEMENT("WITH d AS (INSERT INTO devices(id, labels, created_by) VALUES ($1, $2::jsonb, $3)"
                     " ON CONFLICT DO NOTHING RETURNING *),"
                     " b AS (INSERT INTO bootstraps(device, hash, created_by, expires_at)"
                     " SELECT id, $4, $3, now() + make_interval(hours => $5::integer) FROM d RETURNING device,"
                     " expires_at),"
                     " a AS (INSERT INTO audit(actor, action, device, detail)"
                     " SELECT $3, 'device.added', id, jsonb_build_object('labels', labels) FROM d)"
                     " SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON
                     ")), blocked, secbox_time(expires_at)"
                     " FROM d JOIN b ON b.device = d.id",
                     sql_text(d->id), sql_text(d->labels), sql_text(d->actor), sql_text(d->bootstrap_hash),
                     sql_number(d->bootstrap_hours));
}

Statement sql_device_renew_bootstrap(const NewDevice *d)
{
    return STATEMENT("WITH o AS (UPDATE bootstraps SET replaced_at = now() WHERE device = $1 AND replaced_at IS NULL),"
                     " b AS (INSERT INTO bootstraps(device, hash, created_by, expires_at)"
                     " SELECT id, $3, $2, now() + make_interval(hours => $4::integer) FROM devices WHERE id = $1"
                     " RETURNING device, expires_at),"
                     " a AS (INSERT INTO audit(actor, action, device) SELECT $2, 'device.bootstrap-renewed', device"
                     " FROM b)"
                     " SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON
                     ")), blocked, secbox_time(expires_at)"
                     " FROM devices JOIN b ON b.device = devices.id",
                     sql_text(d->id), sql_text(d->actor), sql_text(d->bootstrap_hash), sql_number(d->bootstrap_hours));
}

Statement sql_device_set_blocked(const char *id, bool blocked, const char *actor)
{
    return STATEMENT("WITH d AS (UPDATE devices SET blocked = $3::boolean WHERE id = $1 RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, device) SELECT $2, $4, id FROM d)"
                     " SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON ")), blocked FROM d",
                     sql_text(id), sql_text(actor), sql_flag(blocked),
                     sql_text(blocked ? "device.blocked" : "device.unblocked"));
}

Statement sql_device_relabel(const char *id, const char *labels, unsigned labels_max, const char *actor)
{
    return STATEMENT(
        "WITH o AS (SELECT id AS name, labels AS was, jsonb_strip_nulls(labels || $3::jsonb) AS become FROM devices"
        " WHERE id = $1 FOR UPDATE),"
        " d AS (UPDATE devices SET labels = become FROM o WHERE id = name"
        " AND (SELECT count(*) FROM jsonb_object_keys(become)) <= $4::integer RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, device, detail)"
        " SELECT $2, 'device.relabelled', id, jsonb_build_object('labels', labels, 'before', was) FROM d)"
        " SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON ")) FROM d",
        sql_text(id), sql_text(actor), sql_text(labels), sql_number(labels_max));
}

Statement sql_device_remove(const char *id, const char *actor)
{
    return STATEMENT("WITH d AS (DELETE FROM devices WHERE id = $1 RETURNING id, labels),"
                     " a AS (INSERT INTO audit(actor, action, device, detail)"
                     " SELECT $2, 'device.removed', id, jsonb_build_object('labels', labels) FROM d)"
                     " SELECT id FROM d",
                     sql_text(id), sql_text(actor));
}

Statement sql_device_status(const char *id, const char *status, const char *agent_version)
{
    return STATEMENT("UPDATE devices SET status = $2::jsonb, status_at = now(), last_seen_at = now(),"
                     " agent_version = $3 WHERE id = $1",
                     sql_text(id), sql_text(status), sql_text(agent_version));
}

Statement sql_device_host_keys(const char *id, const char *sshd, const char *keys)
{
    return STATEMENT("WITH o AS (SELECT id AS name, host_keys->$2::text AS was FROM devices WHERE id = $1 FOR UPDATE),"
                     " d AS (UPDATE devices SET host_keys = host_keys || jsonb_build_object($2::text, $3::jsonb) FROM o"
                     " WHERE id = name AND was IS DISTINCT FROM $3::jsonb RETURNING id, was),"
                     " a AS (INSERT INTO audit(actor, action, device, alarm, detail)"
                     " SELECT 'device:' || id, 'device.host-keys', id, coalesce(was <> '[]', false), "
                     "jsonb_strip_nulls(jsonb_build_object("
                     "'sshd', $2::text, 'keys', $3::jsonb, 'before', was)) FROM d)"
                     " SELECT name, $2::text, EXISTS (SELECT 1 FROM d WHERE was <> '[]') FROM o",
                     sql_text(id), sql_text(sshd), sql_text(keys));
}

Statement sql_device_seen(const char *id)
{
    return STATEMENT("UPDATE devices SET last_seen_at = now() WHERE id = $1", sql_text(id));
}

Statement sql_devices_known(void)
{
    return (Statement) { .sql = "SELECT id, blocked, host_keys::text, vouched::text FROM devices" };
}

Statement sql_device_keys(void)
{
    return (Statement) { .sql = "SELECT device, role, thumbprint FROM device_keys" };
}

Statement sql_devices_labelled(const char *labels)
{
    return STATEMENT("SELECT id, labels::text FROM devices d WHERE NOT blocked AND labels @> $1::jsonb"
                     " AND EXISTS (SELECT FROM device_keys k WHERE k.device = d.id AND k.role = 'mgmt')",
                     sql_text(labels));
}

Statement sql_bootstrap(const char *device, const char *hash, const char *role, const char *thumbprint)
{
    return STATEMENT("SELECT b.id, b.expires_at < now(), d.blocked, k.thumbprint, k.bootstrap = b.id,"
                     " EXISTS (SELECT 1 FROM pending_devices p WHERE p.device = $1 AND p.bootstrap_hash = $2"
                     " AND p.state = 'approved' AND ($3 = 'mgmt' AND p.thumbprint <> $4 OR $3 <> 'mgmt' AND NOT EXISTS"
                     " (SELECT 1 FROM device_keys m WHERE m.device = $1 AND m.role = 'mgmt' AND m.bootstrap = b.id)))"
                     " FROM bootstraps b JOIN devices d ON d.id = b.device"
                     " LEFT JOIN device_keys k ON k.device = b.device AND k.role = $3"
                     " WHERE b.device = $1 AND b.hash = $2 AND b.replaced_at IS NULL",
                     sql_text(device), sql_text(hash), sql_text(role), sql_text(thumbprint));
}

BootstrapRow bootstrap_row(const StoreRows *rows)
{
    return (BootstrapRow) {
        .id = store_rows_get(rows, 0, 0),
        .expired = store_rows_true(rows, 0, 1),
        .blocked = store_rows_true(rows, 0, 2),
        .thumbprint = store_rows_get(rows, 0, 3),
        .used = store_rows_true(rows, 0, 4),
        .of_another = store_rows_true(rows, 0, 5),
    };
}

Statement sql_device_key_revoke(const char *id, const char *role, const char *actor)
{
    return STATEMENT("WITH k AS (DELETE FROM device_keys WHERE device = $1 AND role = $2 RETURNING role, thumbprint),"
                     " b AS (UPDATE bootstraps SET replaced_at = now() WHERE device = $1 AND replaced_at IS NULL"
                     " AND EXISTS (SELECT 1 FROM k)),"
                     " v AS (UPDATE devices SET vouched = vouched - $2::text,"
                     " revoked_keys = revoked_keys || to_jsonb(thumbprint) FROM k WHERE id = $1),"
                     " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $3, 'device.key-revoked', $1,"
                     " jsonb_build_object('role', role, 'thumbprint', thumbprint) FROM k)"
                     " SELECT id, jsonb_strip_nulls(jsonb_build_object(" DEVICE_COMMON
                     ")), (SELECT role FROM k) FROM devices WHERE id = $1",
                     sql_text(id), sql_text(role), sql_text(actor));
}

/* What one role's row becomes: $1 device, $2 role, $3 thumbprint, $4 JWK; what it returns. */
#define KEY_TAKEN                                                                                                      \
    " ON CONFLICT (device, role) DO UPDATE SET thumbprint = excluded.thumbprint, jwk = excluded.jwk,"                  \
    " bootstrap = excluded.bootstrap, claimed_at = now()"

Statement sql_device_key_register(const NewDeviceKey *k)
{
    return STATEMENT(
        "WITH k AS ("
        " INSERT INTO device_keys(device, role, thumbprint, jwk, bootstrap)"
        " SELECT $1, $2, $3, $4::jsonb, $5::bigint FROM devices d WHERE d.id = $1"
        " AND ($2 = 'mgmt' OR d.vouched IS NULL)" KEY_TAKEN
        " WHERE device_keys.bootstrap <> excluded.bootstrap RETURNING device, role, thumbprint),"
        /* the box is set up anew: nothing that its former management key stood for is left */
        " e AS (DELETE FROM device_keys o USING k, devices d WHERE k.role = 'mgmt' AND o.device = k.device"
        " AND o.role <> 'mgmt' AND d.id = k.device AND d.vouched IS NOT NULL RETURNING o.role),"
        " d AS (UPDATE devices SET vouched = NULL, revoked_keys = '[]' FROM k WHERE id = k.device"
        " AND k.role = 'mgmt'),"
        " a AS (INSERT INTO audit(actor, action, device, detail)"
        " SELECT 'device:' || device, 'device.claimed', device, jsonb_strip_nulls(jsonb_build_object("
        "'role', role, 'thumbprint', thumbprint, 'ended', (SELECT jsonb_agg(e.role ORDER BY e.role) FROM e)))"
        " FROM k UNION ALL SELECT 'device:' || device, 'claim.legacy-bootstrap', device,"
        " jsonb_build_object('role', role, 'thumbprint', thumbprint) FROM k WHERE role <> 'mgmt')"
        " SELECT device, EXISTS (SELECT FROM e WHERE e.role = 'device'),"
        " EXISTS (SELECT FROM e WHERE e.role = 'recovery') FROM k",
        sql_text(k->device), sql_text(k->role), sql_text(k->thumbprint), sql_text(k->jwk), sql_text(k->bootstrap));
}

Statement sql_device_key_register_vouched(const NewDeviceKey *k)
{
    return STATEMENT("WITH k AS ("
                     " INSERT INTO device_keys(device, role, thumbprint, jwk, bootstrap)"
                     " SELECT $1, $2, $3, $4::jsonb, m.bootstrap FROM devices d JOIN device_keys m ON m.device = d.id"
                     " AND m.role = 'mgmt' WHERE d.id = $1 AND NOT d.blocked AND d.vouched->>$2 = $3" KEY_TAKEN
                     " RETURNING device, role, thumbprint),"
                     " a AS (INSERT INTO audit(actor, action, device, detail)"
                     " SELECT 'device:' || device, 'device.claimed', device,"
                     " jsonb_build_object('role', role, 'thumbprint', thumbprint, 'vouched', true) FROM k)"
                     " SELECT device FROM k",
                     sql_text(k->device), sql_text(k->role), sql_text(k->thumbprint), sql_text(k->jwk));
}

Statement sql_device_vouch(const char *id, const char *keys)
{
    return STATEMENT(
        "WITH o AS (SELECT id AS name, vouched AS was, coalesce(vouched, '{}') || coalesce((SELECT"
        " jsonb_object_agg(key, value) FROM jsonb_each($2::jsonb - 'mgmt') WHERE NOT revoked_keys @> value), '{}')"
        " AS become FROM devices WHERE id = $1 AND EXISTS (SELECT FROM device_keys m WHERE m.device = $1"
        " AND m.role = 'mgmt' AND m.thumbprint = $2::jsonb->>'mgmt') FOR UPDATE),"
        " d AS (UPDATE devices SET vouched = become FROM o WHERE id = name AND was IS DISTINCT FROM become"
        " RETURNING id),"
        " e AS (DELETE FROM device_keys k USING o WHERE k.device = name AND k.role IN ('device', 'recovery')"
        " AND become->>k.role <> k.thumbprint RETURNING k.role, k.thumbprint),"
        " a AS (INSERT INTO audit(actor, action, device, alarm, detail) SELECT 'device:' || name,"
        " 'device.keys-vouched', name, EXISTS (SELECT FROM e), jsonb_strip_nulls(jsonb_build_object("
        "'keys', become, 'ended', (SELECT jsonb_object_agg(e.role, e.thumbprint) FROM e))) FROM o JOIN d ON id = name)"
        " SELECT name, become->>'device', become->>'recovery', EXISTS (SELECT FROM e WHERE role = 'device'),"
        " EXISTS (SELECT FROM e WHERE role = 'recovery') FROM o",
        sql_text(id), sql_text(keys));
}

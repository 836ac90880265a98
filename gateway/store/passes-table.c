/* SPDX-License-Identifier: MIT */
#include "gateway/store/passes-table.h"

#include "gateway/store/audit-table.h"

Statement sql_pass_guest(const char *community, const char *guest)
{
    return STATEMENT("SELECT g.data->>'from', g.data->>'until', k.key, c.data->'passKey' IS NOT DISTINCT FROM k.jwk"
                     " FROM community_rows g JOIN community_rows c ON c.kind = 'communities' AND c.id = g.community"
                     " LEFT JOIN pass_keys k ON k.community = g.community"
                     " WHERE g.kind = 'guests' AND g.id = $2::uuid AND g.community = $1::uuid AND NOT g.deleted",
                     sql_text(community), sql_text(guest));
}

Statement sql_pass_key_keep(const char *community, const char *pem, const char *jwk, const char *actor)
{
    return STATEMENT("SELECT k.key, k.epoch, k.version FROM pass_key_keep($1::uuid, $2, $3::jsonb, $4) k"
                     " WHERE k.key IS NOT NULL",
                     sql_text(community), sql_text(pem), sql_text(jwk), sql_text(actor));
}

Statement sql_recording_key(const char *device)
{
    return STATEMENT("SELECT c.id, k.key, c.data->'passKey' IS NOT DISTINCT FROM k.jwk, d.blocked FROM devices d"
                     " LEFT JOIN community_rows c ON c.kind = 'communities' AND NOT c.deleted"
                     " AND c.id::text = lower(d.labels->>'community')"
                     " LEFT JOIN pass_keys k ON k.community = c.id WHERE d.id = $1",
                     sql_text(device));
}

Statement sql_pass_issued(const char *actor, const char *detail)
{
    const AuditRow row = { .actor = actor, .action = "pass.issued", .detail = detail };

    return sql_audit_add(&row);
}

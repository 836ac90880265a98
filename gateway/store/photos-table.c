/* SPDX-License-Identifier: MIT */
#include "gateway/store/photos-table.h"

Statement sql_photo_offered(const char *device, const char *community, const char *sha256, unsigned days)
{
    return STATEMENT("SELECT count(*) > 0, EXISTS (SELECT FROM photo_files f WHERE f.community = $2::uuid"
                     " AND f.sha256 = $3 AND f.gone_at IS NULL),"
                     " coalesce(max(e.received_at) < now() - $4::bigint * interval '1 day', false),"
                     " EXISTS (SELECT FROM photo_files f WHERE f.community = $2::uuid AND f.gone_at IS NULL)"
                     " FROM box_photos p JOIN box_events e ON e.seq = p.event"
                     " WHERE p.community = $2::uuid AND p.sha256 = $3 AND e.device = $1",
                     sql_text(device), sql_text(community), sql_text(sha256), sql_number(days));
}

Statement sql_photo_stored(const char *community, const char *sha256, uint64_t bytes)
{
    return STATEMENT("INSERT INTO photo_files(community, sha256, bytes) VALUES ($1::uuid, $2, $3::bigint)"
                     " ON CONFLICT (community, sha256) DO UPDATE SET stored_at = now(), gone_at = NULL",
                     sql_text(community), sql_text(sha256), sql_number((int64_t) bytes));
}

Statement sql_photo_find(const char *community, const char *sha256)
{
    return STATEMENT("SELECT EXISTS (SELECT FROM box_photos p WHERE p.community = $1::uuid AND p.sha256 = $2),"
                     " coalesce(bool_or(f.gone_at IS NULL), false), coalesce(bool_or(f.gone_at IS NOT NULL), false)"
                     " FROM photo_files f WHERE f.community = $1::uuid AND f.sha256 = $2",
                     sql_text(community), sql_text(sha256));
}

Statement sql_photos_old(unsigned days, const char *community, const char *sha256)
{
    return STATEMENT("SELECT f.community, f.sha256 FROM photo_files f WHERE f.gone_at IS NULL"
                     " AND (f.community, f.sha256) > ($2::uuid, $3::text)"
                     " AND NOT EXISTS (SELECT FROM box_photos p JOIN box_events e ON e.seq = p.event"
                     " WHERE p.community = f.community AND p.sha256 = f.sha256"
                     " AND e.received_at >= now() - $1::bigint * interval '1 day')"
                     " ORDER BY f.community, f.sha256 LIMIT $4::bigint",
                     sql_number(days), sql_text(community), sql_text(sha256), sql_number(PHOTOS_OLD_STEP));
}

Statement sql_photos_forget(void)
{
    return (Statement) { .sql = "DELETE FROM photo_files f WHERE f.gone_at IS NOT NULL AND NOT EXISTS (SELECT"
                                " FROM box_photos p WHERE p.community = f.community AND p.sha256 = f.sha256)" };
}

Statement sql_photo_gone(const char *community, const char *sha256)
{
    return STATEMENT("WITH d AS (DELETE FROM photo_files f WHERE f.community = $1::uuid AND f.sha256 = $2"
                     " AND NOT EXISTS (SELECT FROM box_photos p WHERE p.community = $1::uuid AND p.sha256 = $2))"
                     " UPDATE photo_files SET gone_at = now() WHERE community = $1::uuid AND sha256 = $2"
                     " AND EXISTS (SELECT FROM box_photos p WHERE p.community = $1::uuid AND p.sha256 = $2)",
                     sql_text(community), sql_text(sha256));
}

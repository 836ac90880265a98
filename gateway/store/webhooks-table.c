/* SPDX-License-Identifier: MIT */
#include "gateway/store/webhooks-table.h"

#include "gateway/store/events-table.h"

/* An object without the secret. */
#define WEBHOOK_OBJECT                                                                                                 \
    "jsonb_strip_nulls(jsonb_build_object('community', w.community, 'url', w.url, 'after', w.behind::text,"            \
    " 'stopped', w.stopped, 'tries', w.tries, 'nextAt', secbox_time(w.next_at), 'lastError', w.last_error,"            \
    " 'lastErrorAt', secbox_time(w.last_error_at), 'deliveredAt', secbox_time(w.delivered_at),"                        \
    " 'setAt', secbox_time(w.set_at), 'setBy', w.set_by,"                                                              \
    " 'waiting', (SELECT count(*) FROM (SELECT FROM box_events e WHERE e.community = w.community AND e.seq > w.behind" \
    " LIMIT 10000) x), 'dead', (SELECT count(*) FROM webhook_dead d WHERE d.community = w.community)))"

#define COMMUNITY_EXISTS_AS(id)                                                                                        \
    "EXISTS (SELECT FROM community_rows r WHERE r.kind = 'communities' AND r.id = " id " AND NOT r.deleted)"
#define COMMUNITY_EXISTS COMMUNITY_EXISTS_AS("$1::uuid")

#define WEBHOOK_EXISTS "EXISTS (SELECT FROM webhooks w WHERE w.community = $1::uuid)"

Statement sql_webhook_set(const WebhookRow *row)
{
    return STATEMENT(
        "WITH old AS (SELECT secret FROM webhooks WHERE community = $1::uuid),"
        " w AS (INSERT INTO webhooks AS w (community, url, secret, behind, set_by)"
        " SELECT $1::uuid, $2, coalesce($3, $4), CASE WHEN $5::bigint >= 0 THEN $5::bigint"
        " ELSE coalesce((SELECT max(e.seq) FROM box_events e WHERE e.community = $1::uuid), 0) END, $6"
        " WHERE " COMMUNITY_EXISTS " ON CONFLICT (community) DO UPDATE SET url = $2, secret = coalesce($3, w.secret),"
        " behind = CASE WHEN $5::bigint >= 0 THEN $5::bigint ELSE w.behind END, tries = 0, next_at = NULL,"
        " stopped = false, set_at = now(), set_by = $6 RETURNING *),"
        " a AS (INSERT INTO audit(actor, action, detail) SELECT $6, 'webhook.set', jsonb_build_object('community',"
        " w.community, 'host', substring(w.url FROM '^[a-z]+://([^/?#]*)')) FROM w)"
        " SELECT " COMMUNITY_EXISTS ", NOT EXISTS (SELECT FROM old), jsonb_build_object('webhook', " WEBHOOK_OBJECT
        "), w.secret IS NOT DISTINCT FROM $4 FROM (VALUES (1)) one LEFT JOIN w ON true",
        sql_text(row->community), sql_text(row->url), sql_text(row->secret), sql_text(row->own_secret),
        sql_number(row->after), sql_text(row->actor));
}

Statement sql_webhook_show(const char *community, bool whole_url)
{
    return STATEMENT("SELECT " COMMUNITY_EXISTS ", CASE WHEN w.community IS NOT NULL THEN jsonb_build_object('webhook',"
                     " " WEBHOOK_OBJECT " || CASE WHEN $2::boolean THEN '{}' ELSE jsonb_build_object('url',"
                     " substring(w.url FROM '^[a-z]+://[^/?#]*')) END) END"
                     " FROM (VALUES (1)) one LEFT JOIN webhooks w ON w.community = $1::uuid",
                     sql_text(community), sql_flag(whole_url));
}

Statement sql_webhook_remove(const char *community, const char *actor)
{
    return STATEMENT("WITH gone AS (DELETE FROM webhooks WHERE community = $1::uuid RETURNING community)"
                     " INSERT INTO audit(actor, action, detail) SELECT $2, 'webhook.removed',"
                     " jsonb_build_object('community', community) FROM gone RETURNING id",
                     sql_text(community), sql_text(actor));
}

Statement sql_webhooks_all(void)
{
    return STATEMENT("SELECT w.community, NOT w.stopped AND coalesce(w.next_at <= now(), true)"
                     " AND EXISTS (SELECT FROM box_events e WHERE e.community = w.community AND e.seq > w.behind)"
                     " OR EXISTS (SELECT FROM webhook_dead d WHERE d.community = w.community AND d.again)"
                     " FROM webhooks w WHERE " COMMUNITY_EXISTS_AS("w.community"));
}

Statement sql_webhook_next(const char *community)
{
    return STATEMENT(
        "SELECT e.seq, e.client_id, jsonb_build_object('type', e.kind, 'timestamp', secbox_time(e.at), 'data',"
        " jsonb_build_object(" EVENT_MEMBERS ", 'community', e.community)),"
        " w.url, w.secret, n.again, n.tries, CASE WHEN n.again OR w.next_at IS NULL THEN 0"
        " ELSE greatest(0, ceil(extract(epoch FROM w.next_at - clock_timestamp()) * 1000))::bigint END, extract(epoch "
        "FROM w.set_at)"
        " FROM webhooks w CROSS JOIN LATERAL ("
        "(SELECT d.seq, true AS again, d.tries FROM webhook_dead d WHERE d.community = w.community AND d.again"
        " ORDER BY d.seq LIMIT 1)"
        " UNION ALL (SELECT b.seq, false, w.tries FROM box_events b WHERE b.community = w.community"
        " AND b.seq > w.behind ORDER BY b.seq LIMIT 1)"
        " ORDER BY again DESC LIMIT 1) n JOIN box_events e ON e.seq = n.seq"
        " WHERE w.community = $1::uuid AND (NOT w.stopped OR n.again) AND " COMMUNITY_EXISTS,
        sql_text(community));
}

Statement sql_webhook_target(const char *community)
{
    return STATEMENT("SELECT url, secret FROM webhooks WHERE community = $1::uuid", sql_text(community));
}

/* What was under way while somebody set the webhook anew says nothing about what she asked for. */
#define SAME_WEBHOOK "community = $1::uuid AND extract(epoch FROM set_at) = $2::numeric"

Statement sql_webhook_delivered(const WebhookEvent *e)
{
    return STATEMENT("WITH d AS (DELETE FROM webhook_dead WHERE $4::boolean AND community = $1::uuid"
                     " AND seq = $3::bigint)"
                     " UPDATE webhooks SET delivered_at = now(), last_error = NULL, last_error_at = NULL,"
                     " behind = CASE WHEN $4::boolean THEN behind ELSE greatest(behind, $3::bigint) END,"
                     " tries = CASE WHEN $4::boolean THEN tries ELSE 0 END,"
                     " next_at = CASE WHEN $4::boolean THEN next_at END WHERE " SAME_WEBHOOK,
                     sql_text(e->community), sql_text(e->set_at), sql_number((int64_t) e->seq), sql_flag(e->again));
}

Statement sql_webhook_failed(const WebhookEvent *e, const char *reason, uint64_t wait_ms)
{
    return STATEMENT("UPDATE webhooks SET tries = tries + 1, next_at = now() + $5::bigint * interval '1 millisecond',"
                     " last_error = $4, last_error_at = now() WHERE behind < $3::bigint AND " SAME_WEBHOOK,
                     sql_text(e->community), sql_text(e->set_at), sql_number((int64_t) e->seq), sql_text(reason),
                     sql_number((int64_t) wait_ms));
}

Statement sql_webhook_dead(const WebhookEvent *e, const char *reason, bool stop)
{
    return STATEMENT(
        "WITH w AS (SELECT * FROM webhooks WHERE " SAME_WEBHOOK "),"
        " d AS (INSERT INTO webhook_dead AS d (community, seq, tries, reason)"
        " SELECT w.community, $3::bigint, CASE WHEN $4::boolean THEN 1 ELSE w.tries + 1 END, $5::text FROM w"
        " ON CONFLICT (community, seq) DO UPDATE SET tries = d.tries + 1, reason = $5, dead_at = now(), again = false),"
        " u AS (UPDATE webhooks SET last_error = $5, last_error_at = now(), stopped = stopped OR $6::boolean,"
        " behind = CASE WHEN $4::boolean THEN behind ELSE greatest(behind, $3::bigint) END,"
        " tries = CASE WHEN $4::boolean THEN tries ELSE 0 END,"
        " next_at = CASE WHEN $4::boolean THEN next_at END WHERE " SAME_WEBHOOK ")"
        " INSERT INTO audit(actor, action, alarm, detail) SELECT 'gateway', $7::text, true, jsonb_build_object("
        "'community', w.community, 'seq', $3::bigint::text, 'reason', $5::text, 'stopped', $6::boolean) FROM w"
        " RETURNING actor, action, device, CASE WHEN alarm THEN 'alarm' END, detail",
        sql_text(e->community), sql_text(e->set_at), sql_number((int64_t) e->seq), sql_flag(e->again), sql_text(reason),
        sql_flag(stop), sql_text("webhook.dead"));
}

Statement sql_webhook_dead_list(const char *community, uint64_t after, uint64_t limit)
{
    return STATEMENT("SELECT jsonb_strip_nulls(jsonb_build_object('dead', coalesce(jsonb_agg(jsonb_build_object('seq',"
                     " d.seq::text, 'clientId', e.client_id, 'kind', e.kind, 'at', secbox_time(e.at), 'tries', d.tries,"
                     " 'reason', d.reason, 'deadAt', secbox_time(d.dead_at), 'again', d.again) ORDER BY d.seq), '[]'),"
                     " 'next', max(d.seq)::text)), " WEBHOOK_EXISTS
                     " FROM (SELECT * FROM webhook_dead WHERE community = $1::uuid AND seq > $2::bigint ORDER BY seq"
                     " LIMIT $3::bigint) d JOIN box_events e ON e.seq = d.seq",
                     sql_text(community), sql_number((int64_t) after), sql_number((int64_t) limit));
}

Statement sql_webhook_retry(const char *community, uint64_t seq, const char *actor)
{
    return STATEMENT(
        "WITH d AS (UPDATE webhook_dead SET again = true WHERE community = $1::uuid AND $2::bigint IN (0, seq)"
        " RETURNING seq), w AS (UPDATE webhooks SET stopped = false, next_at = NULL WHERE community = $1::uuid"
        " RETURNING community), a AS (INSERT INTO audit(actor, action, detail) SELECT $3, 'webhook.retried',"
        " jsonb_build_object('community', w.community, 'events', (SELECT count(*) FROM d)) FROM w)"
        " SELECT count(*), " WEBHOOK_EXISTS " FROM d",
        sql_text(community), sql_number((int64_t) seq), sql_text(actor));
}

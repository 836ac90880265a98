/* SPDX-License-Identifier: MIT */
/* See session-record.h. */
#include "gateway/sessions/session-record.h"

#include <errno.h>
#include <inttypes.h>

#include "gateway/auth/audit.h"
#include "gateway/store/sessions-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static void log_session(const SupportSession *v, LogLevel level, const Error *err, int r, const char *what)
{
    const LogField fields[] = { { "DEVICE", v->device }, { "SESSION", v->id }, { "GRANT", v->grant_id }, {} };
    if (r < 0)
        log_failure(level, fields, err, r, "session %s of %s on %s: %s", v->id, v->person, v->device, what);
    else
        log_line(level, fields, "session %s of %s on %s: %s", v->id, v->person, v->device, what);
}

static void on_bytes_saved(StoreQuery *q _unused_, int r _unused_, const StoreRows *rows _unused_,
                           const Error *err _unused_, void *userdata)
{
    SupportSession *v = userdata;
    v->query = NULL;
}

static void note(const SupportSession *v, int r)
{
    if (r < 0)
        log_session(v, LOG_LEVEL_ERROR, NULL, r, "cannot be written down, it is only in this log");
}

/* How far it is is told now and then; the next time will do. */
static void save_progress(SupportSession *v)
{
    _cleanup_(error_done) Error err = {};
    uint64_t bytes = v->to_box.bytes + v->from_box.bytes;
    if (v->query || bytes == v->saved_bytes)
        return;
    v->saved_bytes = bytes;
    int r = store_query(v->owner->store, sql_session_bytes(v->id, v->to_box.bytes, v->from_box.bytes), on_bytes_saved,
                        v, &v->query, &err);
    if (r < 0)
        log_debug("session %s is written down later: %s", v->id, error_message(&err, r));
}

void support_session_save(SupportSession *v)
{
    char at[TIMESTAMP_SIZE];
    const SessionEnd end = {
        .id = v->id,
        .closed_at = timestamp_format(v->closed_at, at),
        .reason = v->end_reason,
        .to_box = v->to_box.bytes,
        .from_box = v->from_box.bytes,
    };
    if (v->opened_at == 0 || v->end_saved)
        return;
    if (v->state == SESSION_ENDED) {
        v->end_saved = true;
        note(v, backlog_add_session_close(v->owner->backlog, &end));
    } else if (!v->open_saved) {
        v->open_saved = true;
        note(v, backlog_add_session_open(v->owner->backlog, v->id, v->grant_id, v->routes[v->route].name,
                                         v->certificate, timestamp_format(v->opened_at, at)));
    } else {
        save_progress(v);
    }
}

void support_session_log_open(const SupportSession *v)
{
    _cleanup_(freep) char *what = str_format("open through %s", v->routes[v->route].title);
    log_session(v, LOG_LEVEL_NOTICE, NULL, 0, what ? what : "open");
}

void support_session_log_end(const SupportSession *v)
{
    _cleanup_(freep) char *what = str_format("ended by %s, %" PRIu64 " bytes to the box and %" PRIu64 " from it",
                                             v->end_reason ? v->end_reason : "?", v->to_box.bytes, v->from_box.bytes);
    log_session(v, LOG_LEVEL_NOTICE, NULL, 0, what ? what : "ended");
}

void support_session_audit_refusal(const SupportSession *v)
{
    _cleanup_(freep) char *actor = str_format(OPERATOR_ACTOR_PREFIX "%s", v->person);
    cJSON *detail = cJSON_CreateObject();
    if (detail &&
        (json_add_string(detail, "session", v->id) < 0 || json_add_string(detail, "grant", v->grant_id) < 0 ||
         json_add_string(detail, "error", v->end_reason) < 0 || json_add_string(detail, "ways", v->story.data) < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(v->owner->store, &(AuditEntry) { .actor = actor ? actor : OPERATOR_ACTOR_PREFIX,
                                                 .action = "bridge.refused",
                                                 .device = v->device,
                                                 .detail = detail });
}

void support_session_audit_displaced(const SupportSession *v, const SupportSession *by)
{
    _cleanup_(freep) char *actor = str_format(OPERATOR_ACTOR_PREFIX "%s", by->person);
    cJSON *detail = cJSON_CreateObject();
    if (detail &&
        (json_add_string(detail, "session", v->id) < 0 || json_add_string(detail, "grant", v->grant_id) < 0 ||
         json_add_string(detail, "person", v->person) < 0 || json_add_string(detail, "byGrant", by->grant_id) < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(v->owner->store, &(AuditEntry) { .actor = actor ? actor : OPERATOR_ACTOR_PREFIX,
                                                 .action = "bridge.displaced",
                                                 .device = v->device,
                                                 .detail = detail });
}

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

/* What the database will never take is in the log only; all else is tried again by the sweep. */
static bool is_settled(const SupportSession *v, int r, const Error *err)
{
    if (r < 0)
        log_session(v, LOG_LEVEL_ERROR, err, r,
                    r == -ENOTCONN ? "is not written down yet" : "cannot be written down, it is only in this log");
    return r != -ENOTCONN;
}

static void on_open_saved(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err,
                          void *userdata)
{
    SupportSession *v = userdata;
    v->query = NULL;
    v->open_saved = is_settled(v, r, err);
    if (v->open_saved && v->state == SESSION_ENDED)
        support_session_save(v);
}

static void on_bytes_saved(StoreQuery *q _unused_, int r _unused_, const StoreRows *rows _unused_,
                           const Error *err _unused_, void *userdata)
{
    SupportSession *v = userdata;
    v->query = NULL;
    if (v->state == SESSION_ENDED)
        support_session_save(v);
}

static void on_close_saved(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err,
                           void *userdata)
{
    SupportSession *v = userdata;
    v->query = NULL;
    if (is_settled(v, r, err))
        support_session_free(v);
}

/* Whatever cannot be queued now is left to the sweep. */
static void run(SupportSession *v, Statement st, store_done_t on_done)
{
    Error err = {};
    int r = store_query(v->owner->store, st, on_done, v, &v->query, &err);
    if (r < 0)
        log_debug("session %s is written down later: %s", v->id, error_message(&err, r));
    error_done(&err);
}

static void save_open(SupportSession *v)
{
    char at[TIMESTAMP_SIZE];
    run(v, sql_session_open(v->id, v->grant_id, v->routes[v->route].name, timestamp_format(v->opened_at, at)),
        on_open_saved);
}

static void save_progress(SupportSession *v)
{
    char at[TIMESTAMP_SIZE];
    bool ended = v->state == SESSION_ENDED;
    uint64_t bytes = v->to_box.bytes + v->from_box.bytes;
    if (!ended && bytes == v->saved_bytes)
        return;
    v->saved_bytes = bytes;
    const SessionEnd end = {
        .id = v->id,
        .closed_at = timestamp_format(v->closed_at, at),
        .reason = v->end_reason,
        .to_box = v->to_box.bytes,
        .from_box = v->from_box.bytes,
    };
    if (ended)
        run(v, sql_session_close(&end), on_close_saved);
    else
        run(v, sql_session_bytes(v->id, end.to_box, end.from_box), on_bytes_saved);
}

void support_session_save(SupportSession *v)
{
    if (v->query || v->opened_at == 0)
        return;
    if (!v->open_saved)
        save_open(v);
    else
        save_progress(v);
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

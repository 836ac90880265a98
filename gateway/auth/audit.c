/* SPDX-License-Identifier: MIT */
/* One row and one log line for each entry. */
#include "gateway/auth/audit.h"

#include <errno.h>

#include "gateway/store/audit-table.h"
#include "lib/base/log.h"
#include "lib/data/json.h"

static void on_written(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err,
                       void *userdata _unused_)
{
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "an audit entry is only in this log, the database did not take it");
}

static void log_entry(const char *actor, const char *action, const char *device, bool alarm, const char *detail)
{
    const LogField fields[] = { { "ACTION", action }, { "DEVICE", device }, {} };
    log_line(alarm ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, fields, "%s: %s%s%s %s", actor, action, device ? " " : "",
             device ? device : "", detail ? detail : "");
}

static struct {
    Store *store;
    Backlog *backlog;
} kept;

void audit_keep(Store *s, Backlog *b)
{
    kept.store = s;
    kept.backlog = b;
}

static AuditRow row_of(const AuditEntry *entry, const char *detail)
{
    return (AuditRow) {
        .actor = entry->actor,
        .action = entry->action,
        .device = entry->device,
        .alarm = entry->alarm,
        .detail = detail,
    };
}

static int add(Store *s, const AuditEntry *entry, const char *detail, Error *err)
{
    const AuditRow row = row_of(entry, detail);

    if (kept.backlog && kept.store == s)
        return backlog_add_audit(kept.backlog, row.actor, row.action, row.device, row.alarm, detail);
    return store_query(s, sql_audit_add(&row), on_written, NULL, NULL, err);
}

void audit_write(Store *s, const AuditEntry *entry)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = entry->detail;
    _cleanup_(freep) char *detail = owned ? json_print(owned) : NULL;
    log_entry(entry->actor, entry->action, entry->device, entry->alarm, detail);
    _cleanup_(error_done) Error err = {};
    int r = add(s, entry, detail ? detail : "{}", &err);
    if (r < 0)
        on_written(NULL, r, NULL, &err, NULL);
}

/* The row as it was written, or none. */
void audit_written_once(int r, const StoreRows *rows, const Error *err)
{
    if (r < 0)
        on_written(NULL, r, rows, err, NULL);
    else if (store_rows_count(rows) > 0)
        log_entry(store_rows_get(rows, 0, 0), store_rows_get(rows, 0, 1), store_rows_get(rows, 0, 2),
                  store_rows_get(rows, 0, 3) != NULL, store_rows_get(rows, 0, 4));
}

static void on_written_once(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err,
                            void *userdata _unused_)
{
    audit_written_once(r, rows, err);
}

int audit_write_once(Store *s, const AuditEntry *entry, const char *const *keys, store_done_t on_done, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = entry->detail;
    _cleanup_(freep) char *detail = owned ? json_print(owned) : NULL;
    if (!detail)
        return -ENOMEM;
    const AuditRow row = row_of(entry, detail);
    _cleanup_(error_done) Error err = {};
    return store_query(s, sql_audit_add_once(&row, keys[0], keys[1]), on_done ? on_done : on_written_once, userdata,
                       NULL, &err);
}

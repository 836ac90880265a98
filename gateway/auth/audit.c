/* SPDX-License-Identifier: MIT */
/* One row and one log line for each entry. */
#include "gateway/auth/audit.h"

#include "gateway/store/audit-table.h"
#include "lib/base/log.h"
#include "lib/data/json.h"

static void on_written(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err,
                       void *userdata _unused_)
{
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r,
                    "an audit entry is only in this log, the database did not take it");
}

void audit_write(Gateway *g, const AuditEntry *entry)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = entry->detail;
    _cleanup_(freep) char *detail = owned ? json_print(owned) : NULL;
    const LogField fields[] = { { "ACTION", entry->action }, { "DEVICE", entry->device }, {} };
    log_line(entry->alarm ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, fields, "%s: %s%s%s %s", entry->actor,
             entry->action, entry->device ? " " : "", entry->device ? entry->device : "",
             detail ? detail : "");

    const AuditRow row = {
        .actor = entry->actor,
        .action = entry->action,
        .device = entry->device,
        .alarm = entry->alarm,
        .detail = detail ? detail : "{}",
    };
    Error err = {};
    int r = store_query(g->store, sql_audit_add(&row), on_written, NULL, NULL, &err);
    if (r < 0)
        on_written(NULL, r, NULL, &err, NULL);
    error_done(&err);
}

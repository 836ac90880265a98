/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/report.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/state/project.h"

void report_emit(const cJSON *message)
{
    _cleanup_(freep) char *line = json_print(message);

    /* the agent reads; when it is gone the journal still tells the next one */
    if (line && fd_write_all(STDOUT_FILENO, line, strlen(line)) == 0 && fd_write_all(STDOUT_FILENO, "\n", 1) < 0)
        return;
}

cJSON *safe_error_json(const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_from_error(err, r);
    _cleanup_(freep) char *safe = redact_text(error_message(err, r));

    return o && safe && cJSON_ReplaceItemInObjectCaseSensitive(o, "message", cJSON_CreateString(safe)) ? TAKE_PTR(o)
                                                                                                       : NULL;
}

void report_progress(Report *r, const char *state, const char *service, const char *fmt, ...)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.progress");
    _cleanup_(freep) char *text = NULL;
    _cleanup_(freep) char *safe = NULL;
    char at[TIMESTAMP_SIZE];
    va_list ap;

    va_start(ap, fmt);
    text = str_vformat(fmt, ap);
    va_end(ap);
    safe = text ? redact_text(text) : NULL;
    if (!m || !safe || json_add_string(m, "id", r->id) < 0 || json_add_string(m, "version", r->version) < 0 ||
        json_add_string(m, "phase", r->phase ? r->phase : "verify") < 0 || json_add_string(m, "state", state) < 0 ||
        json_add_string(m, "service", service) < 0 || json_add_string(m, "message", *safe ? safe : NULL) < 0 ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 ||
        json_add_int(m, "seq", (int) ++r->seq) < 0 ||
        (!project_is_own() && json_add_string(m, "project", project_selected()) < 0))
        return;
    report_emit(m);
}

void report_phase(Report *r, const char *phase)
{
    r->phase = phase;
    report_progress(r, "started", NULL, "%s", "");
}

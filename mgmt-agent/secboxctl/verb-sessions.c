/* SPDX-License-Identifier: MIT */
/* sessions: who is logged in over the bridge, from the files that the programs write; mgmt-agent is not asked. */
#include <errno.h>
#include <string.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/cli/report.h"
#include "lib/tunnel/sessions-file.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

static const char *const files[] = { LINK_SESSIONS_PATH, RECOVERY_SESSIONS_PATH, SECBOX_SESSIONS_PATH, NULL };

/* Moves the sessions of one file behind the others, each with its program's name. */
static int take_file(cJSON *all, cJSON *document)
{
    cJSON *sessions = cJSON_GetObjectItemCaseSensitive(document, "sessions"), *entry;

    while ((entry = cJSON_DetachItemFromArray(sessions, 0))) {
        if (!cJSON_IsObject(entry)) {
            cJSON_Delete(entry);
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "program");
        if (json_add_string(entry, "program", json_string(document, "program")) < 0) {
            cJSON_Delete(entry);
            return -ENOMEM;
        }
        if (json_append(all, entry) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int read_sessions(cJSON *all, Error *err)
{
    for (const char *const *file = files; *file; file++) {
        _cleanup_(freep) char *path = path_in_root(*file);
        _cleanup_(cJSON_Deletep) cJSON *document = NULL;
        int r = path ? sessions_file_read(path, &document, err) : -ENOMEM;

        if (r == -ENOENT)
            continue;
        if (r >= 0)
            r = take_file(all, document);
        if (r < 0)
            return error_from_errno(err, r, "read who is in");
    }
    return 0;
}

static char *print_sessions(const cJSON *all)
{
    static const char *const headers[] = { "PERSON", "TARGET", "WAY", "SINCE", "IN", "OUT", "GRANT", "REASON", NULL };
    _cleanup_(table_freep) Table *t = table_new(headers);
    const cJSON *e;

    if (cJSON_GetArraySize(all) == 0)
        return strdup("Nobody is logged in over the bridge.\n");
    cJSON_ArrayForEach(e, all)
        if (!t || table_row(t, json_string(e, "person"), json_string(e, "target"), json_string(e, "program"),
                            json_string(e, "since"), json_string(e, "bytesIn"), json_string(e, "bytesOut"),
                            json_string(e, "grant"), json_string(e, "reason")) < 0)
            return NULL;
    return table_print(t, 0);
}

int verb_sessions(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    cJSON *all = document ? cJSON_AddArrayToObject(document, "sessions") : NULL;

    (void) argc;
    (void) argv;
    int r = secboxctl_need_root(ctl, &err);
    if (r >= 0)
        r = all ? read_sessions(all, &err) : -ENOMEM;
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    return ctl->json ? report_json(document, EXIT_OK) : report_text(print_sessions(all), EXIT_OK);
}

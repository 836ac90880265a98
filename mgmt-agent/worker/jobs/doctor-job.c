/* SPDX-License-Identifier: MIT */
/* secboxctl doctor for the cloud: what people see on the box and what they see from afar is one program's answer. */

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/report.h"

#define TIMEOUT (100 * USEC_PER_SEC) /* each thing that it asks has a limit of its own, a fraction of this */
#define EXIT_ASKED_MAX 3             /* it has checked, whatever it found; but for 2, which is wrong usage */

/* Where it is installed, seen from the worker; in a build all programs are in one folder. */
static char *find_secboxctl(Error *err)
{
    static const char *const places[] = { "secboxctl", "../bin/secboxctl" };
    _cleanup_(freep) char *self = calloc(1, PATH_MAX);
    ssize_t n = self ? readlink("/proc/self/exe", self, PATH_MAX - 1) : -1;
    char *slash = n > 0 ? strrchr(self, '/') : NULL;

    for (size_t i = 0; slash && i < ELEMENTSOF(places); i++) {
        char *path = str_format("%.*s/%s", (int) (slash - self), self, places[i]);
        if (path && access(path, X_OK) == 0)
            return path;
        free(path);
    }
    error_set(err, ENOENT, "doctor.missing", "secboxctl is not installed on this box: run make install-box there");
    return NULL;
}

static int run_doctor(const char *program, ProcessResult *ret, Error *err)
{
    _cleanup_(freep) char *root = str_format("--root=%s", paths_root());
    const char *argv[] = { program, "doctor", "--json", str_empty(paths_root()) ? NULL : root, NULL };
    const ProcessSpec spec = { .argv = argv,
                               .env = (const char *const *) environ,
                               .timeout_usec = TIMEOUT,
                               .line_max = PROCESS_OUTPUT_MAX,
                               .keep_with_parent = true };

    return root ? process_run(&spec, NULL, NULL, ret, err) : -ENOMEM;
}

/* What was seen may quote others; commands are our own words, and stay as they are typed. */
static int hide_secrets(Deploy *d, cJSON *findings)
{
    const char *bootstrap = NULL;
    cJSON *check;

    if (box_try_env(&d->box) == 0 && d->box.agent_env)
        bootstrap = env_get(d->box.agent_env, "BOOTSTRAP");
    redact_add_secret(bootstrap ? bootstrap : "");
    cJSON_ArrayForEach(check, cJSON_GetObjectItemCaseSensitive(findings, "checks")) {
        const char *detail = json_string(check, "detail");
        _cleanup_(freep) char *safe = detail ? redact_text(detail) : NULL;
        cJSON *text = safe ? cJSON_CreateString(safe) : NULL;

        if (detail && (!text || !cJSON_ReplaceItemInObjectCaseSensitive(check, "detail", text))) {
            cJSON_Delete(text);
            return -ENOMEM;
        }
    }
    return 0;
}

static int read_findings(const ProcessResult *result, cJSON **ret, int *ret_code, Error *err)
{
    int code = WIFEXITED(result->status) ? WEXITSTATUS(result->status) : -1;
    const char *out = result->out ? result->out : "";
    _cleanup_(freep) char *ended = process_status_string(result->status, result->timed_out);

    if (result->timed_out || code < 0 || code > EXIT_ASKED_MAX || json_parse_object(out, strlen(out), ret, NULL) < 0 ||
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*ret, "checks")))
        return error_set(err, EIO, "doctor.failed",
                         "secboxctl doctor ended without an answer on the box (%s): run it there",
                         ended ? ended : "why is unknown");
    *ret_code = code;
    return 0;
}

/* Prints one line {"type": "worker.doctor", "exitCode", "report"}, or with an `error` member. */
int job_doctor(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(cJSON_Deletep) cJSON *findings = NULL;
    _cleanup_(process_result_done) ProcessResult result = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *program = find_secboxctl(&err);
    int code = 0, r = program ? run_doctor(program, &result, &err) : -ENOENT;

    (void) request;
    if (r == 0)
        r = read_findings(&result, &findings, &code, &err);
    if (r == 0)
        r = hide_secrets(d, findings);
    if (!o || json_add_string(o, "type", "worker.doctor") < 0 ||
        (r < 0                                   ? json_add_item(o, "error", json_from_error(&err, r))
         : json_add_int(o, "exitCode", code) < 0 ? -ENOMEM
                                                 : json_add_item(o, "report", TAKE_PTR(findings))) < 0)
        return 1;
    report_emit(o);
    return r < 0;
}

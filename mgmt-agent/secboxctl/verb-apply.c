/* SPDX-License-Identifier: MIT */
/* plan, apply, rollback: changes asked of the agent, after the checks that need no agent. */
#include <errno.h>
#include <string.h>

#include "compose/gather/travel.h"
#include "compose/precheck.h"
#include "lib/base/strv.h"
#include "lib/cli/progress.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/local-files.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

/* What the files come to, once the box's own parser has accepted it. */
static int read_compose(const Secboxctl *ctl, const char *path, Gathered *ret, Error *err)
{
    _cleanup_(error_done) Error policy = {}; /* the box's policy.json decides, in the agent */
    _cleanup_(freep) char *name = NULL;

    int r = secboxctl_gather(ctl, path, ctl->env_files, ret, &name, err);
    if (r < 0)
        return r;
    const ComposeFiles files = project_files(ret);
    r = compose_precheck(ret->text, ret->len, name, ctl->no_files ? NULL : &files, &policy, err);
    if (r < 0)
        gathered_locate(ret, err);
    return r;
}

/* Version "0" asks the agent for the next local version; whoever reaches its socket means this box. */
static int make_snapshot(const char *text, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("compose.snapshot");
    char now[TIMESTAMP_SIZE];

    if (!request || json_add_string(request, "version", "0") < 0 || json_add_string(request, "deviceId", "local") < 0 ||
        json_add_string(request, "compose", text) < 0 ||
        json_add_string(request, "issuedAt", timestamp_format(realtime_usec(), now)) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    *ret = TAKE_PTR(request);
    return 0;
}

/* The agent needs them as long as it has not answered, be it by a refusal: what it has begun goes on without us. */
static void remove_answered(const char *files, int r)
{
    if (r >= 0 || r == -EREMOTEIO)
        local_files_remove(files);
}

/* Sends a request whose answer is compose.progress until compose.result, and shows it. */
static int follow(const Secboxctl *ctl, AgentSocket *agent, const cJSON *request, const Gathered *sent,
                  const char *files, usec_t timeout)
{
    _cleanup_(error_done) Error err = {};
    usec_t deadline = boottime_usec() + timeout;
    ProgressView view;

    progress_start(&view, stdout, ctl->json);
    int r = agent_send(agent, request, &err);
    while (r >= 0) {
        _cleanup_(cJSON_Deletep) cJSON *message = NULL;

        r = agent_receive(agent, json_string(request, "id"), deadline, &message, &err);
        if (r >= 0 && str_equal(json_string(message, "type"), "compose.result")) {
            remove_answered(files, r);
            if (sent)
                gathered_locate_json(sent, cJSON_GetObjectItemCaseSensitive(message, "error"));
            return progress_result(&view, message);
        }
        if (r >= 0 && str_equal(json_string(message, "type"), "compose.progress"))
            progress_event(&view, message);
    }
    remove_answered(files, r);
    progress_stop(&view);
    if (r == -EHOSTUNREACH)
        error_prefix(&err, r, "how it ended is not known (`secboxctl history` tells)");
    return secboxctl_fail(ctl, &err, r);
}

int verb_apply(int argc, char **argv, void *userdata)
{
    Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(freep) char *files = NULL;
    usec_t timeout;

    int r = secboxctl_timeout(ctl, &timeout, &err);
    if (r >= 0)
        r = read_compose(ctl, argc > 0 ? argv[0] : NULL, &gathered, &err);
    if (r >= 0)
        r = secboxctl_connect(ctl, &agent, &err);
    if (r >= 0)
        r = secboxctl_choose_project(ctl, agent, &gathered, &err);
    if (r >= 0)
        r = make_snapshot(gathered.text, &request, &err);
    if (r >= 0)
        r = secboxctl_add_project(ctl, request);
    if (r >= 0)
        r = local_files_leave(ctl, &gathered, request, &files, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : follow(ctl, agent, request, &gathered, files, timeout);
}

int verb_rollback(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("compose.rollback");
    _cleanup_(error_done) Error err = {};
    usec_t timeout;

    int r = request ? json_add_string(request, "to", argc > 0 ? argv[0] : NULL) : -ENOMEM;
    if (r >= 0)
        r = secboxctl_add_project(ctl, request);
    if (r >= 0)
        r = secboxctl_timeout(ctl, &timeout, &err);
    if (r >= 0)
        r = secboxctl_connect(ctl, &agent, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : follow(ctl, agent, request, NULL, NULL, timeout);
}

static int show_plan(const Secboxctl *ctl, const Gathered *sent, cJSON *answer)
{
    _cleanup_(error_done) Error err = {};
    cJSON *plan = cJSON_GetObjectItemCaseSensitive(answer, "plan");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");

    if (!cJSON_IsObject(plan)) {
        int r = json_to_error(error, EREMOTEIO, &err);
        gathered_locate_answer(sent, &err);
        return secboxctl_fail(ctl, &err, r);
    }
    gathered_name_values(sent, plan);
    if (!ctl->json)
        return report_text(report_plan(plan), EXIT_OK);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    if (!document || json_add_item(document, "plan", cJSON_DetachItemViaPointer(answer, plan)) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return report_json(document, EXIT_OK);
}

int verb_plan(int argc, char **argv, void *userdata)
{
    Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("compose.plan"), *answer = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(freep) char *files = NULL;
    usec_t timeout;

    int r = secboxctl_timeout(ctl, &timeout, &err);
    if (r >= 0)
        r = read_compose(ctl, argc > 0 ? argv[0] : NULL, &gathered, &err);
    if (r >= 0)
        r = request ? json_add_string(request, "compose", gathered.text) : -ENOMEM;
    if (r >= 0)
        r = secboxctl_connect(ctl, &agent, &err);
    if (r >= 0)
        r = secboxctl_choose_project(ctl, agent, &gathered, &err);
    if (r >= 0)
        r = secboxctl_add_project(ctl, request);
    if (r >= 0)
        r = local_files_leave(ctl, &gathered, request, &files, &err);
    if (r >= 0)
        r = agent_ask(agent, request, "compose.plan.result", timeout, &answer, &err);
    remove_answered(files, r);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : show_plan(ctl, &gathered, answer);
}

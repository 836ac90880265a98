/* SPDX-License-Identifier: MIT */
/* status, history: what the agent knows. */
#include <errno.h>

#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define ASK_TIMEOUT (30 * USEC_PER_SEC)
#define SECBOX_TIMEOUT (5 * USEC_PER_SEC)
#define HISTORY_DEFAULT 20
#define HISTORY_MAX 1000

static int ask(const Secboxctl *ctl, cJSON *request, const char *answer, cJSON **ret, Error *err)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    int r = request ? secboxctl_connect(ctl, &agent, err) : error_from_errno(err, -ENOMEM, "make a request");

    return r < 0 ? r : agent_ask(agent, request, answer, ASK_TIMEOUT, ret, err);
}

/* A box without secbox, or with one that does not answer, has a status, too. */
static int add_secbox(cJSON *status)
{
    cJSON *values = NULL;

    if (secboxctl_ask_secbox("health", SECBOX_TIMEOUT, &values, NULL) < 0)
        return 0;
    return json_add_item(status, "secbox", values);
}

int verb_status(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("status.get"), *answer = NULL;
    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    int r = secboxctl_add_project(ctl, request);
    if (r >= 0)
        r = ask(ctl, request, "status.report", &answer, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);

    cJSON *status = cJSON_GetObjectItemCaseSensitive(answer, "status");
    r = ctl->project ? 0 : add_secbox(status);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    return ctl->json ? report_json(status, EXIT_OK) : report_text(report_status(status), EXIT_OK);
}

int verb_history(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("history.get"), *answer = NULL;
    _cleanup_(error_done) Error err = {};
    uint64_t limit = HISTORY_DEFAULT;

    (void) argc;
    (void) argv;
    if (ctl->limit && str_to_u64(ctl->limit, 1, HISTORY_MAX, &limit) < 0) {
        int r = error_set(&err, EINVAL, "usage", "--limit takes a number from 1 to %d, not \"%s\"", HISTORY_MAX,
                          ctl->limit);
        return secboxctl_fail(ctl, &err, r);
    }
    int r = request ? json_add_int(request, "limit", (int) limit) : -ENOMEM;
    if (r >= 0)
        r = secboxctl_add_project(ctl, request);
    if (r >= 0)
        r = ask(ctl, request, "history.report", &answer, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);

    cJSON *entries = cJSON_GetObjectItemCaseSensitive(answer, "entries");
    if (!ctl->json)
        return report_text(report_history(entries), EXIT_OK);
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    if (!document || json_add_item(document, "entries", cJSON_DetachItemViaPointer(answer, entries)) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return report_json(document, EXIT_OK);
}

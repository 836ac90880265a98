/* SPDX-License-Identifier: MIT */
/* logs: what a service of this box writes, as the cloud would see it. */
#include <errno.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/cli/log-lines.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

/* The agent ends it before. */
#define WAIT ((LOG_HOURS_MAX + 1) * USEC_PER_HOUR)

static int show(const Secboxctl *ctl, AgentSocket *agent, const cJSON *request, Error *err)
{
    usec_t deadline = boottime_usec() + WAIT;
    int r = agent_send(agent, request, err);

    while (r >= 0) {
        _cleanup_(cJSON_Deletep) cJSON *message = NULL;

        r = agent_receive(agent, json_string(request, "id"), deadline, &message, err);
        if (r >= 0 && str_equal(json_string(message, "type"), "logs.end")) {
            const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
            return error ? json_to_error(error, EREMOTEIO, err) : 0;
        }
        if (r >= 0 && log_lines_print(message, ctl->json) < 0)
            return 0; /* nobody reads any more */
    }
    return r;
}

int verb_logs(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("logs.read");
    _cleanup_(error_done) Error err = {};
    const LogQuestion question = { .service = argv[0], .since = ctl->since, .tail = ctl->tail, .follow = ctl->follow };

    (void) argc;
    int r = log_question_add(&question, request, &err);
    if (r >= 0)
        r = secboxctl_add_project(ctl, request);
    if (r >= 0)
        r = secboxctl_connect(ctl, &agent, &err);
    if (r >= 0)
        r = show(ctl, agent, request, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : EXIT_OK;
}

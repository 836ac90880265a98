/* SPDX-License-Identifier: MIT */
/* agent update: mgmt-agent itself is replaced meanwhile, so it is asked again and again how far it is. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define BEGIN_TIMEOUT (10 * USEC_PER_MINUTE) /* of its dry plan */
#define ASK_TIMEOUT (30 * USEC_PER_SEC)
#define PAUSE_SECONDS 2

static int make_request(const Secboxctl *ctl, const char *version, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("agent.update");
    uint64_t seconds = CONFIRM_SECONDS_DEFAULT;

    if (ctl->deadline && str_to_u64(ctl->deadline, CONFIRM_SECONDS_MIN, CONFIRM_SECONDS_MAX, &seconds) < 0)
        return error_set(err, EINVAL, "usage", "--deadline takes seconds from %d to %d, not \"%s\"",
                         CONFIRM_SECONDS_MIN, CONFIRM_SECONDS_MAX, ctl->deadline);
    if (!request || json_add_string(request, "to", version) < 0 ||
        json_add_int(request, "confirmDeadlineSeconds", (int) seconds) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    *ret = TAKE_PTR(request);
    return 0;
}

/* The update of our order as mgmt-agent tells it; NULL while it does not answer, or has nothing to tell. */
static cJSON *ask(const Secboxctl *ctl, const char *id)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("status.get"), *answer = NULL;
    cJSON *update;

    if (!request || secboxctl_connect(ctl, &agent, NULL) < 0 ||
        agent_ask(agent, request, "status.report", ASK_TIMEOUT, &answer, NULL) < 0)
        return NULL;
    update = cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(answer, "status"), "agentUpdate");
    if (str_equal(json_string(update, "id"), id))
        return update;
    cJSON_Delete(update);
    return NULL;
}

static bool is_over(const cJSON *update)
{
    static const char *const ends[] = { "confirmed", "rolled-back", "failed", "stuck" };
    const char *state = json_string(update, "state");

    for (size_t i = 0; i < ELEMENTSOF(ends); i++)
        if (str_equal(state, ends[i]))
            return i > 0 || !json_string(update, "next");
    return false;
}

static char *line_of(const cJSON *update)
{
    const char *from = json_string(update, "from"), *why = json_string(update, "why");
    _cleanup_(freep) char *line =
        str_format("%s %s -> %s: %s%s%s", json_string(update, "package"), from ? from : "-", json_string(update, "to"),
                   json_string(update, "state"), why ? ": " : "", why ? why : "");

    return line ? text_printable(line) : NULL;
}

static int show_end(const Secboxctl *ctl, const cJSON *update)
{
    int exit_code = str_equal(json_string(update, "state"), "confirmed") ? EXIT_OK : EXIT_FAILED;

    return ctl->json ? report_json(update, exit_code) : exit_code;
}

static int follow(const Secboxctl *ctl, const char *id, usec_t timeout)
{
    const struct timespec pause = { .tv_sec = PAUSE_SECONDS };
    usec_t deadline = boottime_usec() + timeout;
    _cleanup_(freep) char *told = NULL;
    _cleanup_(error_done) Error err = {};

    while (boottime_usec() < deadline) {
        _cleanup_(cJSON_Deletep) cJSON *update = ask(ctl, id);
        char *line = update ? line_of(update) : NULL;

        if (line && !str_equal(line, told) && !ctl->json) {
            printf("%s\n", line);
            fflush(stdout);
        }
        if (line) {
            free(told);
            told = line;
        }
        if (update && is_over(update))
            return show_end(ctl, update);
        (void) nanosleep(&pause, NULL);
    }
    int r = error_set(&err, EHOSTUNREACH, "agent.timeout",
                      "the update is not over yet: `secboxctl status` and `journalctl -u secbox-package-update` tell");
    return secboxctl_fail(ctl, &err, r);
}

/* Its first word says whether it begins. */
static int begin(const Secboxctl *ctl, const cJSON *request, Error *err)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    int r = secboxctl_connect(ctl, &agent, err);

    if (r >= 0)
        r = agent_send(agent, request, err);
    return r < 0 ? r : agent_receive(agent, json_string(request, "id"), boottime_usec() + BEGIN_TIMEOUT, &message, err);
}

int verb_agent_update(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    usec_t timeout;

    (void) argc;
    int r = secboxctl_timeout(ctl, &timeout, &err);
    if (r >= 0)
        r = make_request(ctl, argv[0], &request, &err);
    if (r >= 0)
        r = begin(ctl, request, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : follow(ctl, json_string(request, "id"), timeout);
}

/* SPDX-License-Identifier: MIT */
/* apps, stop, start, restart, remove: the projects beside the box's own one, each as a whole. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/parse/stated-name.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define ASK_TIMEOUT (30 * USEC_PER_SEC)

static bool has_project(const cJSON *status, const char *name)
{
    const cJSON *other;

    cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(status, "projects"))
        if (str_equal(json_string(other, "name"), name))
            return true;
    return false;
}

int secboxctl_choose_project(Secboxctl *ctl, AgentSocket *agent, const Gathered *g, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = NULL, *answer = NULL;
    _cleanup_(freep) char *name = NULL;
    int r = ctl->project ? 0 : compose_stated_name_of(g->text, g->len, &name);

    if (r < 0 || !project_name_is_good(name) || str_equal(name, PROJECT_OWN_DEFAULT))
        return r;
    request = secboxctl_request("status.get");
    r = request ? agent_ask(agent, request, "status.report", ASK_TIMEOUT, &answer, err) : -ENOMEM;
    if (r < 0)
        return r;
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(answer, "status");
    if (project_of_file(name, has_project(status, name), cJSON_GetObjectItemCaseSensitive(status, "current"))) {
        memcpy(ctl->stated_project, name, strlen(name) + 1);
        ctl->project = ctl->stated_project;
    }
    if (!ctl->json)
        report_project_of_file(name, ctl->project);
    return 0;
}

int verb_apps(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("status.get"), *answer = NULL, *document = NULL;
    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    int r = request ? secboxctl_connect(ctl, &agent, &err) : -ENOMEM;
    if (r >= 0)
        r = agent_ask(agent, request, "status.report", ASK_TIMEOUT, &answer, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);

    document = report_projects_of(cJSON_GetObjectItemCaseSensitive(answer, "status"));
    if (!document)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    if (ctl->json)
        return report_json(document, EXIT_OK);
    return report_text(report_projects(document), EXIT_OK);
}

static int order(const Secboxctl *ctl, const char *project, const char *action)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("project.order"), *answer = NULL;
    _cleanup_(error_done) Error err = {};
    usec_t timeout;
    int r = secboxctl_timeout(ctl, &timeout, &err);

    if (r >= 0 && (!request || json_add_string(request, "project", project) < 0 ||
                   json_add_string(request, "action", action) < 0 ||
                   (ctl->volumes && json_add_bool(request, "volumes", true) < 0)))
        r = -ENOMEM;
    if (r >= 0)
        r = secboxctl_connect(ctl, &agent, &err);
    if (r >= 0)
        r = agent_ask(agent, request, "project.result", timeout, &answer, &err);
    if (r >= 0 && !json_bool(answer, "ok", false))
        r = json_to_error(cJSON_GetObjectItemCaseSensitive(answer, "error"), EREMOTEIO, &err);
    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    if (ctl->json)
        return report_json(answer, EXIT_OK);
    printf("%s of project %s: done\n", action, project);
    return EXIT_OK;
}

int verb_project_stop(int argc, char **argv, void *userdata)
{
    (void) argc;
    return order(secboxctl_begin(userdata), argv[0], "stop");
}

int verb_project_start(int argc, char **argv, void *userdata)
{
    (void) argc;
    return order(secboxctl_begin(userdata), argv[0], "start");
}

int verb_project_restart(int argc, char **argv, void *userdata)
{
    (void) argc;
    return order(secboxctl_begin(userdata), argv[0], "restart");
}

int verb_project_remove(int argc, char **argv, void *userdata)
{
    (void) argc;
    return order(secboxctl_begin(userdata), argv[0], "remove");
}

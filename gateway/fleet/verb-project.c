/* SPDX-License-Identifier: MIT */
/* apps, stop, start, restart, remove: the projects of a box. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/parse/stated-name.h"
#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/project-name.h"

#define BOX_TIMEOUT (120 * USEC_PER_SEC)
#define ORDER_TIMEOUT (620 * USEC_PER_SEC)

const char *fleet_project(const Fleet *fleet)
{
    return str_equal(fleet->project, PROJECT_OWN_DEFAULT) ? NULL : fleet->project;
}

/* Whether the gateway remembers pushes of it to this box. */
static int ask_history(Fleet *fleet, const char *device, const char *name, bool *ret, Error *err)
{
    _cleanup_(freep) char *suffix = str_format("/deployments?limit=1&project=%s", name),
                          *path = suffix ? fleet_device_path(device, suffix) : NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    int r = fleet_ask(fleet, "GET", path, NULL, BOX_TIMEOUT, &reply, err);

    *ret = r >= 0 && cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(reply.body, "deployments")) > 0;
    return r;
}

int fleet_choose_project(Fleet *fleet, const char *device, const Gathered *g, Error *err)
{
    _cleanup_(freep) char *name = NULL, *path = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    bool has_it = false;
    int r = fleet->project ? 0 : compose_stated_name_of(g->text, g->len, &name);

    if (r < 0 || !project_name_is_good(name) || str_equal(name, PROJECT_OWN_DEFAULT))
        return r;
    path = fleet_device_path(device, "");
    r = fleet_ask(fleet, "GET", path, NULL, BOX_TIMEOUT, &reply, err);
    if (r >= 0)
        r = ask_history(fleet, device, name, &has_it, err);
    if (r < 0)
        return r;
    /* a box that has nothing has no such member, whether it has ever spoken or not */
    static const cJSON nothing = { .type = cJSON_NULL };
    const cJSON *box = cJSON_GetObjectItemCaseSensitive(reply.body, "device"),
                *current = cJSON_GetObjectItemCaseSensitive(box, "current");
    if (project_of_file(name, has_it, current ? current : &nothing)) {
        memcpy(fleet->stated_project, name, strlen(name) + 1);
        fleet->project = fleet->stated_project;
    }
    if (!fleet->json)
        report_project_of_file(name, fleet->project);
    return 0;
}

int verb_apps(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(freep) char *path = fleet_device_path(argv[0], "/status");
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(cJSON_Deletep) cJSON *document = NULL;
    _cleanup_(error_done) Error err = {};

    int r = fleet_ask(fleet, "GET", path, NULL, BOX_TIMEOUT, &reply, &err);
    if (r >= 0) {
        document = report_projects_of(cJSON_GetObjectItemCaseSensitive(reply.body, "status"));
        r = document ? 0 : -ENOMEM;
    }
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json ? report_json(document, EXIT_OK) : report_text(report_projects(document), EXIT_OK);
}

static int order(Fleet *fleet, char **argv, const char *action)
{
    _cleanup_(freep) char *name = api_encode(argv[1]), *suffix = name ? str_format("/projects/%s", name) : NULL,
                          *path = suffix ? fleet_device_path(argv[0], suffix) : NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = request && path ? json_add_string(request, "action", action) : -ENOMEM;

    if (r >= 0 && fleet->volumes)
        r = json_add_bool(request, "volumes", true);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", path, request, ORDER_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    if (fleet->json)
        return report_json(reply.body, EXIT_OK);
    _cleanup_(freep) char *device = text_printable(argv[0]);
    printf("%s of project %s on %s: done\n", action, argv[1], device ? device : "-");
    return EXIT_OK;
}

int verb_project_stop(int argc _unused_, char **argv, void *userdata)
{
    return order(userdata, argv, "stop");
}

int verb_project_start(int argc _unused_, char **argv, void *userdata)
{
    return order(userdata, argv, "start");
}

int verb_project_restart(int argc _unused_, char **argv, void *userdata)
{
    return order(userdata, argv, "restart");
}

int verb_project_remove(int argc _unused_, char **argv, void *userdata)
{
    return order(userdata, argv, "remove");
}

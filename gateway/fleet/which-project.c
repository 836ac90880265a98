/* SPDX-License-Identifier: MIT */
/* Which project a push goes to, where --project does not say. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/project-choice.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/strv.h"
#include "lib/data/project-name.h"

/* A gateway of before has no such route; to it the file's name means nothing, and the box's own project is what it takes. */
static int ask(Fleet *fleet, const char *device, const Gathered *g, char **ret, Error *err)
{
    _cleanup_(freep) char *path = fleet_device_path(device, "/project");
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    int r = request ? json_add_string(request, "compose", g->text) : -ENOMEM;

    if (r >= 0 && g->n_files > 0) /* so that what it names beside itself is not missed */
        r = json_add_bool(request, "bundle", true);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", path, request, CALL_TIMEOUT, &reply, err);
    if (r < 0 && str_equal(error_id(err), "request.not-found")) {
        error_done(err);
        *err = (Error) {};
        *ret = NULL;
        return 0;
    }
    if (r < 0)
        return r;
    const char *project = json_string(reply.body, "project");
    if (project_name_check(project, err) < 0)
        return -EINVAL;
    *ret = strdup(project);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "make a request");
}

static void tell(const Fleet *fleet, const char *name, const char *project)
{
    if (fleet->json)
        return;
    if (!project)
        fprintf(stderr,
                "the gateway is older than projects by a file's name: this goes to the box's own project; "
                "--project %s makes it one beside that\n",
                name);
    else if (str_equal(project, PROJECT_OWN_DEFAULT))
        fprintf(stderr,
                "the file says name: %s, but the box's own project has been this file so far, and it stays that: "
                "--project %s moves it, --project %s says so for good\n",
                name, name, PROJECT_OWN_DEFAULT);
    else
        fprintf(stderr, "project %s, as the file says by name:\n", project);
}

int fleet_settle_project(Fleet *fleet, const char *device, const Gathered *g, Error *err)
{
    _cleanup_(freep) char *name = NULL, *project = NULL;
    int r;

    if (fleet->project)
        return project_name_check(fleet->project, err);
    const char *file = g->is_same && g->sources && g->sources[0] ? g->sources[0] : "compose.yaml";
    r = project_file_name(g->text, g->len, file, &name, err);
    if (r < 0)
        gathered_locate(g, err);
    if (r < 0 || !name || str_equal(name, PROJECT_OWN_DEFAULT))
        return r;
    r = ask(fleet, device, g, &project, err);
    if (r < 0)
        return r;
    tell(fleet, name, project);
    fleet->settled = TAKE_PTR(project);
    fleet->project = fleet->settled;
    return 0;
}

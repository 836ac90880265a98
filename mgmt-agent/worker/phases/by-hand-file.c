/* SPDX-License-Identifier: MIT */
/* The compose file for people: what runs, in a folder named like the project, so that podman-compose typed there means the
 * box's own containers. Images have their names and not ids, so that `podman-compose pull` means something, and what
 * podman-compose cannot be told is left out. It is written when a change is proved and takes effect when that is committed. */

#include "mgmt-agent/worker/phases/by-hand-file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/render/render.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/report.h"

static char *folder_of(const char *project, const char *suffix)
{
    _cleanup_(freep) char *base = path_in_root(BY_HAND_DIR);

    return base ? str_format("%s/%s%s", base, project, suffix) : NULL;
}

/* Where it will be, once it is in effect. One at a time. */
typedef struct ByHand {
    const DeployTarget *target;
    char path[4096];
} ByHand;

static const char *image_of(const char *service, void *userdata)
{
    const ByHand *b = userdata;
    const ComposeService *s = compose_service_find(b->target->project, service);

    return s ? s->image : NULL;
}

static const char *env_file_of(const char *service, void *userdata)
{
    ByHand *b = userdata;
    _cleanup_(freep) char *folder = folder_of(b->target->project->name, "");

    if (!folder || snprintf(b->path, sizeof(b->path), "%s/%s.env", folder, service) >= (int) sizeof(b->path))
        return NULL;
    return b->path;
}

static const char *bind_of(const char *source, void *userdata)
{
    const ByHand *b = userdata;

    return deploy_bind_target(b->target->bind_targets, source);
}

static int write_file(const PodmanUser *owner, const char *folder, const char *name, const char *text, Error *err)
{
    _cleanup_(freep) char *path = path_join(folder, name);

    return path ? file_write_atomic(path, text, strlen(text), 0600, owner->uid, owner->gid, err) : -ENOMEM;
}

static int write_env(const PodmanUser *owner, const char *folder, const ComposeService *s, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(freep) char *name = str_format("%s.env", s->name);
    const cJSON *variable;
    ComposeService plain = *s;
    int r = 0;

    /* an env file holds one line a variable */
    plain.environment = cJSON_CreateObject();
    if (!name || !plain.environment)
        r = -ENOMEM;
    cJSON_ArrayForEach(variable, s->environment) {
        if (r == 0 && !strpbrk(variable->valuestring, "\n\r"))
            r = json_add_string(plain.environment, variable->string, variable->valuestring);
    }
    r = r < 0 ? r : compose_render_env(&plain, &text, err);
    cJSON_Delete(plain.environment);

    return r < 0 ? r : write_file(owner, folder, name, text, err);
}

static int write_all(const DeployTarget *t, const PodmanUser *owner, const char *version, const char *folder,
                     Error *err)
{
    _cleanup_(freep) char *base = path_in_root(BY_HAND_DIR);
    _cleanup_(freep) char *text = NULL;
    ByHand b = { .target = t };
    RenderOptions options = {
        .version = version, .image = image_of, .env_file = env_file_of, .bind = bind_of, .partly = true, .userdata = &b
    };
    int r = base ? dir_make(base, 0755, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;

    if (r == 0)
        r = dir_remove(folder, err);
    if (r == 0)
        r = dir_make(folder, 0700, owner->uid, owner->gid, err);
    if (r == 0)
        r = compose_render(t->project, &options, &text, err);
    if (r == 0)
        r = write_file(owner, folder, "compose.yaml", text, err);
    for (size_t i = 0; r == 0 && i < t->project->n_services; i++)
        r = write_env(owner, folder, &t->project->services[i], err);
    return r;
}

void deploy_write_by_hand(const DeployTarget *t, const PodmanUser *owner, Report *report)
{
    _cleanup_(freep) char *folder = folder_of(t->project->name, ".next");
    _cleanup_(error_done) Error err = {};
    int r = folder ? write_all(t, owner, report->version, folder, &err) : -ENOMEM;

    if (r < 0)
        report_progress(report, "info", NULL, "could not write the compose file for people: %s",
                        error_message(&err, r));
}

void deploy_keep_by_hand(Report *report, const char *project)
{
    _cleanup_(freep) char *next = folder_of(project, ".next");
    _cleanup_(freep) char *folder = folder_of(project, "");
    _cleanup_(error_done) Error err = {};
    int r;

    if (!next || !folder || access(next, F_OK) < 0)
        return;
    r = dir_remove(folder, &err);
    if (r == 0 && rename(next, folder) < 0)
        r = error_set(&err, errno, "file.write", "cannot rename %s: %s", next, strerror(errno));
    if (r < 0)
        report_progress(report, "info", NULL, "could not put the compose file for people in place: %s",
                        error_message(&err, r));
}

void deploy_drop_by_hand(const char *project)
{
    _cleanup_(freep) char *next = folder_of(project, ".next");

    if (next && dir_remove(next, NULL) < 0)
        return; /* the next one replaces it */
}

void deploy_remove_by_hand(const char *project)
{
    _cleanup_(freep) char *folder = folder_of(project, "");

    if (folder && dir_remove(folder, NULL) < 0)
        return; /* a push of that project replaces it */
}

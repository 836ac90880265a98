/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/full-names.h"

#include <errno.h>
#include <string.h>
#include <sys/fsuid.h>

#include "lib/base/strv.h"
#include "lib/registry/registries-conf.h"
#include "mgmt-agent/worker/phases/report.h"

/* The value in podman's own environment, or NULL. */
static const char *user_variable(const PodmanUser *user, const char *name)
{
    size_t len = strlen(name);

    for (char **v = user->env; v && *v; v++)
        if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
            return *v + len + 1;
    return NULL;
}

/* With the rights of the user whose files they are. */
static int load_conf(const PodmanUser *user, RegistryConf **ret, Error *err)
{
    _cleanup_(freep) char *config = user->home ? str_format("%s/.config", user->home) : NULL;
    const RegistryPlaces places = { .etc = "/etc/containers",
                                    .config_home = config,
                                    .registries_conf = user_variable(user, "CONTAINERS_REGISTRIES_CONF") };
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r;

    if (user->switch_user) {
        (void) setfsgid(user->gid);
        (void) setfsuid(user->uid);
    }
    r = registry_conf_load(&places, ret, err);
    if (user->switch_user) {
        (void) setfsuid(uid);
        (void) setfsgid(gid);
    }
    return r;
}

static bool is_here(Podman *podman, const char *image)
{
    _cleanup_(error_done) Error unused = {};
    _cleanup_(freep) char *id = NULL;

    return podman_image_id(podman, image, &id, &unused) == 0;
}

static int name_image(Podman *podman, ComposeService *s, const RegistryConf *conf, Report *report, Error *err)
{
    _cleanup_(freep) char *full = NULL;

    if (registry_conf_full_name(conf, s->image, &full) < 0)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    if (!full || (!is_here(podman, full) && is_here(podman, s->image)))
        return 0;
    report_progress(report, "info", s->name, "the image %s is %s", s->image, full);
    free(s->image);
    s->image = TAKE_PTR(full);
    return 0;
}

int deploy_name_images(const Box *box, DeployTarget *t, Report *report, Error *err)
{
    _cleanup_(registry_conf_freep) RegistryConf *conf = NULL;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < t->project->n_services; i++) {
        ComposeService *s = &t->project->services[i];

        if (!image_name_is_short(s->image))
            continue;
        if (!conf)
            r = load_conf(&box->user, &conf, err);
        if (r >= 0)
            r = name_image(box->podman, s, conf, report, err);
    }
    return r < 0 || !conf ? r : compose_policy_check_project(t->project, t->policy, NULL, err);
}

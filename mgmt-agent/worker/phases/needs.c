/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/needs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "compose/model/device.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/image-manifest.h"
#include "lib/data/json.h"
#include "mgmt-agent/worker/phases/other-projects.h"

/* podman resolves `host-gateway` from then on */
#define HOST_GATEWAY_MAJOR 4
#define HOST_GATEWAY_MINOR 7
#define CDI_SIZE_MAX (1024 * 1024)

static int check_external(Podman *podman, const DeployTarget *t _unused_, const ComposeService *s, const char *kind,
                          const cJSON *definition, Error *err)
{
    const char *name = json_string(definition, "name");
    int r;

    if (!name || !json_bool(definition, "external", false))
        return 0;
    r = podman_exists(podman, kind, name, err);
    if (r != 0)
        return r < 0 ? r : 0;
    return error_set_at(
        err, ENOENT, "preflight.external-missing", NULL, s->line, s->name,
        "service %s uses the external %s %s, which does not exist on this box; make it as the podman user "
        "(podman %s create %s), or remove `external` from its definition",
        s->name, kind, name, kind, name);
}

/* It is there, and may have been made for another service, or by hand: what counts is what it is. */
static int check_present(Podman *podman, const DeployTarget *t, const ComposeService *s, const char *kind,
                         const cJSON *definition, Error *err)
{
    const char *name = json_string(definition, "name");
    _cleanup_(cJSON_Deletep) cJSON *found = NULL;
    _cleanup_(error_done) Error reason = {};
    bool is_network = str_equal(kind, "network");
    int r = name ? podman_show(podman, kind, name, &found, &reason) : -ENOENT;

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    r = other_project_check(t->policy, s, kind, name,
                            cJSON_GetObjectItemCaseSensitive(found, is_network ? "labels" : "Labels"), err);
    if (r < 0)
        return r;
    r = compose_policy_check_present(t->policy, s, kind, json_string(found, is_network ? "driver" : "Driver"),
                                     is_network ? NULL : cJSON_GetObjectItemCaseSensitive(found, "Options"), err);
    return r < 0 ? error_prefix(err, r, "the %s %s, which is on this box", kind, name) : 0;
}

typedef int (*check_t)(Podman *podman, const DeployTarget *t, const ComposeService *s, const char *kind,
                       const cJSON *definition, Error *err);

static int check_each(Podman *podman, const DeployTarget *t, const ComposeService *s, check_t check, Error *err)
{
    const ComposeProject *p = t->project;
    int r = 0;

    for (size_t i = 0; r >= 0 && s->networks && s->networks[i]; i++)
        r = check(podman, t, s, "network", cJSON_GetObjectItemCaseSensitive(p->networks, s->networks[i]), err);
    for (size_t i = 0; r >= 0 && s->volumes && s->volumes[i]; i++)
        r = check(podman, t, s, "volume", cJSON_GetObjectItemCaseSensitive(p->volumes, s->volumes[i]), err);
    return r;
}

/* Whether the word stands in the text by itself: "a.example/gate" is not in "a.example/gates". */
static bool has_kind(const char *text, const char *kind)
{
    static const char part[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    size_t len = strlen(kind);

    for (const char *at = text; (at = strstr(at, kind)) != NULL; at++)
        if ((at == text || !strchr(part, at[-1])) && (at[len] == '\0' || !strchr(part, at[len])))
            return true;
    return false;
}

/* Whether a file of the folder speaks of that kind of device. */
static bool folder_defines(const char *folder, const char *kind)
{
    DIR *dir = opendir(folder);
    bool found = false;

    if (!dir)
        return false;
    for (struct dirent *e; !found && (e = readdir(dir));) {
        _cleanup_(freep) char *path = str_format("%s/%s", folder, e->d_name), *text = NULL;

        found = path && (str_ends(path, ".json") || str_ends(path, ".yaml")) &&
                file_read(path, CDI_SIZE_MAX, &text, NULL, NULL) >= 0 && has_kind(text, kind);
    }
    closedir(dir);
    return found;
}

/* "vendor.example/class=name" */
static int check_cdi(const ComposeService *s, const char *name, Error *err)
{
    _cleanup_(freep) char *kind = strndup(name, strcspn(name, "="));

    if (!kind)
        return -ENOMEM;
    if (folder_defines("/etc/cdi", kind) || folder_defines("/var/run/cdi", kind))
        return 0;
    return error_set_at(
        err, ENOENT, "preflight.device-missing", NULL, s->line, s->name,
        "service %s needs the device %s, and no file in /etc/cdi or /var/run/cdi defines such ones%s", s->name, name,
        str_starts(name, "nvidia.com/") ? "; make it: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml" : "");
}

static int check_devices(const ComposeService *s, Error *err)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(s->config, "devices")) {
        _cleanup_(device_parts_done) DeviceParts parts = {};
        bool is_cdi = device_is_cdi(item->valuestring);
        int r = is_cdi ? check_cdi(s, item->valuestring, err) : device_split(item->valuestring, &parts);

        if (r < 0)
            return r;
        if (!is_cdi && access(parts.host, F_OK) < 0)
            return error_set_at(err, ENOENT, "preflight.device-missing", NULL, s->line, s->name,
                                "service %s needs the device %s, which is not there; plug it in, or correct the path",
                                s->name, parts.host);
    }
    return 0;
}

/* Podman pulls what is for this machine, so another platform's would not be what is asked for. */
static int check_platform(const ComposeService *s, Error *err)
{
    const char *wanted = json_string(s->config, "platform");
    _cleanup_(freep) char *any = NULL;
    struct utsname machine;
    Platform own;

    if (!wanted || uname(&machine) < 0)
        return 0;
    own = platform_of_machine(machine.machine);
    any = str_format("%s/%s", own.os, own.architecture);
    if (str_equal(wanted, any))
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(own.variants) && own.variants[i]; i++) {
        _cleanup_(freep) char *name =
            str_format("%s/%s%s%s", own.os, own.architecture, *own.variants[i] ? "/" : "", own.variants[i]);

        if (str_equal(name, wanted))
            return 0;
    }
    return error_set_at(err, ENOTSUP, "preflight.platform", NULL, s->line, s->name,
                        "service %s says `platform: %s`, and this box is %s/%s; remove it, or use an image for that",
                        s->name, wanted, own.os, own.architecture);
}

static int check_init(const ComposeService *s, Error *err)
{
    static const char *const places[] = { "/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit",
                                          "/usr/local/libexec/podman/catatonit", "/usr/bin/catatonit" };

    if (!json_bool(s->config, "init", false))
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(places); i++)
        if (access(places[i], X_OK) == 0)
            return 0;
    return error_set_at(
        err, ENOENT, "preflight.no-init", NULL, s->line, s->name,
        "service %s says `init: true`, and the program for that is not on this box; install it: apt-get "
        "install catatonit",
        s->name);
}

static bool knows_host_gateway(const char *version)
{
    char *end = NULL;
    long major = strtol(version, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

    return major > HOST_GATEWAY_MAJOR || (major == HOST_GATEWAY_MAJOR && minor >= HOST_GATEWAY_MINOR);
}

static int check_host_gateway(Podman *podman, const ComposeService *s, Error *err)
{
    const cJSON *item;

    if (knows_host_gateway(podman_version(podman)))
        return 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(s->config, "extra_hosts")) {
        if (str_ends(item->valuestring, ":host-gateway"))
            return error_set_at(
                err, ENOTSUP, "preflight.host-gateway", NULL, s->line, s->name,
                "service %s names %s, and podman %s does not know host-gateway; remove the entry and use "
                "the name host.containers.internal, by which every container finds the box",
                s->name, item->valuestring, podman_version(podman));
    }
    return 0;
}

/* The networks that it is in as the guest of another service. */
static int check_owner(Podman *podman, const DeployTarget *t, const ComposeService *s, Error *err)
{
    const ComposeProject *p = t->project;
    const ComposeService *owner = compose_owner(p, s, "network_mode");
    int r = 0;

    for (size_t i = 0; r >= 0 && owner && owner->networks && owner->networks[i]; i++)
        r = check_present(podman, t, s, "network", cJSON_GetObjectItemCaseSensitive(p->networks, owner->networks[i]),
                          err);
    return r;
}

/* One that is not of this project, with which it shares something, has to run when it starts. */
static int check_shared(Podman *podman, const DeployTarget *t, const ComposeService *s, const char *key, Error *err)
{
    const char *mode = json_string(s->config, key), *name = compose_shared_container(t->project, s, key);
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(error_done) Error reason = {};
    int r = name && str_starts(mode, "container:") ? podman_inspect(podman, name, &info, &reason) : 0;

    if (r < 0 && r != -ENOENT)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    if (r == 0 &&
        (!info || str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running")))
        return 0;
    return error_set_at(
        err, ENOENT, "preflight.container-missing", NULL, s->line, s->name,
        "service %s says `%s: %s`, and no container of that name runs on this box; start it, or correct "
        "the name",
        s->name, key, mode);
}

static int check_all_shared(Podman *podman, const DeployTarget *t, const ComposeService *s, Error *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && compose_shared_keys[i]; i++)
        r = check_shared(podman, t, s, compose_shared_keys[i], err);
    return r;
}

static int check_runtime(const PodmanUser *user, const ComposeService *s, Error *err)
{
    const char *runtime = json_string(s->config, "runtime");
    _cleanup_(podman_freep) Podman *other = NULL;
    _cleanup_(error_done) Error reason = {};
    int r = runtime ? podman_open_runtime(user, runtime, &other, &reason) : 0;

    return r == 0 ? 0
                  : error_set_at(err, ENOENT, "preflight.runtime-missing", NULL, s->line, s->name,
                                 "service %s says `runtime: %s`, and podman does not work with it: %s", s->name,
                                 runtime, error_message(&reason, r));
}

static int check_new(const Box *box, const DeployTarget *t, const ComposeService *s, Error *err)
{
    Podman *podman = box->podman;
    int r = check_each(podman, t, s, check_present, err);

    if (r >= 0)
        r = check_all_shared(podman, t, s, err);
    if (r >= 0)
        r = check_runtime(&box->user, s, err);
    if (r >= 0)
        r = check_owner(podman, t, s, err);
    if (r >= 0)
        r = check_devices(s, err);
    if (r >= 0)
        r = check_init(s, err);
    if (r >= 0)
        r = check_platform(s, err);
    return r < 0 ? r : check_host_gateway(podman, s, err);
}

int deploy_check_needs(const Box *box, const DeployTarget *t, const Plan *plan, Error *err)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];
        const ComposeService *s = compose_service_find(t->project, step->service);
        int r = s ? check_each(box->podman, t, s, check_external, err) : 0;

        if (r >= 0 && s && (step->action == PLAN_CREATE || step->action == PLAN_REPLACE))
            r = check_new(box, t, s, err);
        if (r < 0)
            return r;
    }
    return 0;
}

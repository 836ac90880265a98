/* SPDX-License-Identifier: MIT */
/* What the agent says of itself. */

#include <errno.h>
#include <string.h>

#include "env/env-rules.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/data/host-mode.h"
#include "lib/data/trust.h"
#include "mgmt-agent/agent/agent.h"
#include "mgmt-agent/agent/host-health.h"
#include "mgmt-agent/agent/box-seal-key.h"
#include "mgmt-agent/agent/package-update.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/agent/release-update.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/agent/ssh-host-keys.h"
#include "mgmt-agent/state/failure-kind.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/root-podman.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/unsafe-binds.h"

#define HOST_NAME "host.containers.internal:" /* of the host, in a container */
#define LAST_LOOKED_AT 20                     /* results of history, for the last that counts */

static int add_current(cJSON *o)
{
    _cleanup_(current_freep) Current *current = NULL;
    char at[TIMESTAMP_SIZE];
    cJSON *short_form;

    if (current_load(&current, NULL) < 0 || !current)
        return cJSON_AddNullToObject(o, "current") ? 0 : -ENOMEM;
    short_form = cJSON_CreateObject();
    if (json_add_item(o, "current", short_form) < 0 || json_add_string(short_form, "version", current->version) < 0 ||
        json_add_string(short_form, "sha256", current->sha256) < 0 ||
        json_add_string(short_form, "fileName", current->file_name) < 0)
        return -ENOMEM;
    return current->at > 0 ? json_add_string(short_form, "at", timestamp_format(current->at, at)) : 0;
}

static const char *pending_phase(DeployState s)
{
    return s == DEPLOY_CONFIRMING ? "confirm" : deploy_state_to_string(s);
}

/* The other jobs deploy nothing new. */
static bool begins_version(const Agent *a)
{
    return str_equal(runner_job(a->deploying), "apply") || str_equal(runner_job(a->deploying), "update");
}

static int add_pending(const Agent *a, cJSON *o, bool with_nonce)
{
    cJSON *pending;

    if (a->journal.state == DEPLOY_IDLE && !a->deploying && (pending = package_update_pending(a->packages)))
        return json_add_item(o, "pending", pending);
    if (a->journal.state == DEPLOY_IDLE && !a->deploying && (pending = release_update_pending(a->releases)))
        return json_add_item(o, "pending", pending);
    if (a->journal.state == DEPLOY_IDLE && !a->deploying)
        return cJSON_AddNullToObject(o, "pending") ? 0 : -ENOMEM;
    pending = cJSON_CreateObject();
    if (json_add_item(o, "pending", pending) < 0)
        return -ENOMEM;
    if (a->deploying && a->journal.state == DEPLOY_IDLE)
        return json_add_string(pending, "id", a->deploying_id) < 0 ||
                       (begins_version(a) && json_add_string(pending, "version", a->deploying_version) < 0) ||
                       json_add_string(pending, "phase", runner_job(a->deploying)) < 0
                   ? -ENOMEM
                   : 0;
    if (json_add_string(pending, "id", a->journal.id) < 0 ||
        json_add_string(pending, "version", a->journal.version) < 0 ||
        json_add_string(pending, "phase", pending_phase(a->journal.state)) < 0 ||
        (with_nonce && json_add_string(pending, "nonce", a->journal.nonce) < 0))
        return -ENOMEM;
    return 0;
}

/* Of results, the newest first: the last that was about this box. An order about an image that nothing on it runs is answered, and
 * that is all. */
static int find_last(const cJSON *history)
{
    int n = 0;
    const cJSON *entry;

    cJSON_ArrayForEach(entry, history) {
        if (failure_kind(json_string(cJSON_GetObjectItemCaseSensitive(entry, "error"), "id")) != FAILURE_NOT_HERE)
            return n;
        n++;
    }
    return -1;
}

/* The last result, without its type. */
static int add_last(cJSON *o)
{
    static const size_t looked_at[] = { 1, LAST_LOOKED_AT }; /* nearly always it is the newest */
    _cleanup_(cJSON_Deletep) cJSON *history = NULL;
    int n = -1;

    for (size_t i = 0; n < 0 && i < ELEMENTSOF(looked_at); i++) {
        cJSON_Delete(TAKE_PTR(history));
        n = store_load_history(looked_at[i], &history, NULL) == 0 ? find_last(history) : -1;
    }
    cJSON *last = n >= 0 ? cJSON_DetachItemFromArray(history, n) : NULL;

    if (!last)
        return cJSON_AddNullToObject(o, "last") ? 0 : -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(last, "type");
    return json_add_item(o, "last", last);
}

/* What agents of an earlier time would have ignored without a word, and what not every box can do. */
static int add_accepts(cJSON *o)
{
    static const char *const types[] = { "image.update",   "updates.halted", "compose.rollback",
                                         "doctor.ask",     "orders.signed",  "bundle",
                                         "secrets.sealed", "trust.root",     "project" };
    cJSON *list = cJSON_CreateStringArray(types, ELEMENTSOF(types));

    if (list && ((sshd_accounts_are_told_apart() && json_append(list, cJSON_CreateString("ssh.accounts")) < 0) ||
                 (package_start_is_possible() && json_append(list, cJSON_CreateString("agent.update")) < 0) ||
                 (box_is_without_containers() && json_append(list, cJSON_CreateString("release.update")) < 0))) {
        cJSON_Delete(list);
        return -ENOMEM;
    }
    return json_add_item(o, "accepts", list);
}

/* Whose orders are taken; absent where nobody is pinned. */
static int add_trust(cJSON *o)
{
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(error_done) Error err = {};
    cJSON *part;
    int r = trust_load(&trust, &err);

    if (r == 0 && trust.signers.n == 0)
        return 0;
    part = cJSON_CreateObject();
    if (json_add_item(o, "trust", part) < 0)
        return -ENOMEM;
    if (r < 0)
        return json_add_item(part, "error", json_from_error(&err, r));
    if (json_add_int(part, "signers", (int) trust.signers.n) < 0 ||
        json_add_int(part, "threshold", (int) trust.signers.threshold) < 0)
        return -ENOMEM;
    if (trust.root.version == 0)
        return 0;
    char at[TIMESTAMP_SIZE];
    return json_add_u64(part, "version", trust.root.version) < 0
               ? -ENOMEM
               : json_add_string(part, "expiresAt", timestamp_format(trust.root.expires, at));
}

/* Absent while all is well. */
static int add_unsafe_binds(cJSON *o)
{
    cJSON *binds = unsafe_binds_load();

    if (!binds)
        return -ENOMEM;
    if (cJSON_GetArraySize(binds) == 0) {
        cJSON_Delete(binds);
        return 0;
    }
    return json_add_item(o, "unsafeBinds", binds);
}

/* Absent while all is well. */
static int add_unnamed_root(cJSON *o)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (!path)
        return -ENOMEM;
    if (env_load(path, &env, NULL) < 0 || env_get(env, "PODMAN_USER") || geteuid() != 0 || !root_podman_is_used())
        return 0;
    return json_add_bool(o, "unnamedRoot", true);
}

/* Absent while all is well. */
static int add_config_faults(cJSON *o)
{
    cJSON *faults = config_faults_read();

    if (!faults)
        return -ENOMEM;
    if (cJSON_GetArraySize(faults) == 0) {
        cJSON_Delete(faults);
        return 0;
    }
    return json_add_item(o, "configFaults", faults);
}

/* Whether secbox leads people to this machine's sshd, as it does unless somebody has set another. */
static bool leads_to_own_sshd(void)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;
    const char *target = path && env_load_kind(ENV_SECBOX, path, &env, NULL) >= 0 ? env_get(env, "SSH_TARGET") : NULL;

    return str_empty(target) || str_starts(target, HOST_NAME);
}

/* Absent where they cannot be told for sure. */
static int add_host_keys(cJSON *o)
{
    cJSON *keys = leads_to_own_sshd() ? ssh_host_keys_read() : cJSON_CreateArray();

    if (!keys)
        return -ENOMEM;
    if (cJSON_GetArraySize(keys) == 0) {
        cJSON_Delete(keys);
        return 0;
    }
    return json_add_item(o, "hostKeys", keys);
}

/* Absent where there is no key, and none can be made. */
static int add_seal_key(const Agent *a, cJSON *o)
{
    const char *text = box_seal_key_text(a->seal_key);

    return text ? json_add_string(o, "sealKey", text) : 0;
}

cJSON *agent_make_status(const Agent *a)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("agent.status");

    if (!m || json_add_string(m, "deviceId", a->device_id ? a->device_id : "") < 0 ||
        json_add_string(m, "state", deploy_state_to_string(a->journal.state)) < 0 || add_current(m) < 0 ||
        add_pending(a, m, true) < 0 || add_last(m) < 0 || add_accepts(m) < 0 || add_trust(m) < 0 ||
        add_unsafe_binds(m) < 0 || add_unnamed_root(m) < 0 || add_config_faults(m) < 0 || add_host_keys(m) < 0 ||
        add_seal_key(a, m) < 0 || agent_add_revocations(m) < 0 || agent_add_projects(m) < 0 ||
        json_add_item(m, "services", service_watch_describe_all(a->services)) < 0)
        return NULL;
    return TAKE_PTR(m);
}

static int add_env(cJSON *o)
{
    static const struct {
        const char *path;
        EnvFileKind kind;
    } files[] = { { AGENT_ENV_PATH, ENV_AGENT }, { SECBOX_ENV_PATH, ENV_SECBOX } };
    _cleanup_(error_done) Error err = {};
    cJSON *env = cJSON_CreateObject();
    int r = json_add_item(o, "env", env), bad = 0;

    for (size_t i = 0; r == 0 && bad == 0 && i < ELEMENTSOF(files); i++) {
        _cleanup_(freep) char *path = path_in_root(files[i].path);
        _cleanup_(env_freep) EnvFile *e = NULL;

        if (files[i].kind == ENV_SECBOX && path && access(path, F_OK) < 0 && errno == ENOENT)
            continue; /* the first push makes it */
        bad = path ? env_load_kind(files[i].kind, path, &e, &err) : -ENOMEM;
        if (bad == 0)
            bad = env_validate(e, files[i].kind, path, &err);
    }
    if (r == 0)
        r = json_add_bool(env, "ok", bad == 0);
    if (r == 0 && bad < 0)
        r = json_add_item(env, "error", json_from_error(&err, bad));
    return r;
}

static int add_agent(const Agent *a, cJSON *o)
{
    cJSON *agent = cJSON_CreateObject();
    char at[TIMESTAMP_SIZE];

    if (json_add_item(o, "agent", agent) < 0 || json_add_string(agent, "version", SECBOX_VERSION) < 0 ||
        json_add_int(agent, "pid", (int) getpid()) < 0 ||
        json_add_string(agent, "startedAt", timestamp_format(a->started_realtime, at)) < 0)
        return -ENOMEM;
    return 0;
}

static int add_link(const Agent *a, cJSON *o)
{
    cJSON *link = a->link_status ? cJSON_Duplicate(a->link_status, 1) : cJSON_CreateObject();

    if (json_add_item(o, "link", link) < 0)
        return -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(link, "type");
    return a->link_status ? 0 : json_add_bool(link, "connected", false);
}

/* Of secbox and of recovery-agent, where they show one. */
static int add_keys(cJSON *o)
{
    cJSON *keys = cJSON_CreateObject();

    if (!keys || agent_add_keys(keys) < 0) {
        cJSON_Delete(keys);
        return -ENOMEM;
    }
    return json_add_item(o, "keys", keys);
}

/* Absent before the first look. */
static int add_health(const Agent *a, cJSON *o)
{
    const cJSON *values = host_health_values(a->health);

    return values ? json_add_item(o, "health", cJSON_Duplicate(values, true)) : 0;
}

/* Those that are watched, with the images that the compose file names: podman tells only those of containers. */
static int add_watched(const Agent *a, cJSON *o)
{
    _cleanup_(current_freep) Current *current = NULL;
    const char *project = project_is_own() ? NULL : project_selected();
    cJSON *watched = service_watch_describe(agent_services_of(a, project)), *service;
    int r = json_add_item(o, "watched", watched);

    if (r < 0 || current_load(&current, NULL) < 0)
        return r;
    cJSON_ArrayForEach(service, watched) {
        const CurrentService *s = current_find(current, json_string(service, "name"));

        if (s && json_add_string(service, "image", s->image) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Of the others, how the service watch finds each service. */
static int add_watched_of_others(const Agent *a, cJSON *status)
{
    cJSON *project;

    cJSON_ArrayForEach(project, cJSON_GetObjectItemCaseSensitive(status, "projects")) {
        const ServiceWatch *services = agent_services_of(a, json_string(project, "name"));

        if (services && json_add_item(project, "watched", service_watch_describe(services)) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Absent while there was none. */
static int add_agent_update(const Agent *a, cJSON *o)
{
    cJSON *update = package_update_describe(a->packages);

    return update ? json_add_item(o, "agentUpdate", update) : 0;
}

cJSON *agent_make_report(const Agent *a, const char *id, const cJSON *podman)
{
    static const char *const from_worker[] = {
        "podman", "podmanCompose", "podmanUser", "services", "projects", "error"
    };
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("status.report");
    _cleanup_(freep) char *way_back = agent_way_back();
    cJSON *status = cJSON_CreateObject();

    if (!m || json_add_string(m, "id", id) < 0 || json_add_item(m, "status", status) < 0 || add_agent(a, status) < 0 ||
        json_add_string(status, "deviceId", a->device_id) < 0 || add_link(a, status) < 0 || add_keys(status) < 0 ||
        add_current(status) < 0 || add_pending(a, status, false) < 0 || add_last(status) < 0 || add_env(status) < 0 ||
        add_unsafe_binds(status) < 0 || add_unnamed_root(status) < 0 || add_config_faults(status) < 0 ||
        add_watched(a, status) < 0 ||
        (!project_is_own() && json_add_string(status, "project", project_selected()) < 0) ||
        add_agent_update(a, status) < 0 || add_health(a, status) < 0 ||
        json_add_string(status, "wayBack", way_back) < 0)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(from_worker); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(podman, from_worker[i]);

        if (item && json_add_item(status, from_worker[i], cJSON_Duplicate(item, 1)) < 0)
            return NULL;
    }
    return add_watched_of_others(a, status) < 0 ? NULL : TAKE_PTR(m);
}

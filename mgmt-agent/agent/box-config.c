/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/box-config.h"

#include <errno.h>
#include <string.h>

#include "env/env-rules.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/event/config-watch.h"
#include "mgmt-agent/agent/pairing.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/agent/ssh-host-keys.h"
#include "mgmt-agent/state/snapshot-store.h"

struct BoxConfig {
    Agent *agent;
    ConfigWatch *watch;
    char *text; /* mgmt-agent.env, while it is good; secret */
    char *told; /* the last fault */
};

/* The text that is handed on is the one that was found good: the file may be another by then. */
static int read_agent_env(char **ret_text, EnvFile **ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = path ? env_file_read(path, &text, &len, err) : -ENOMEM;

    if (r >= 0)
        r = env_parse(text, len, path, ret, err);
    if (r >= 0)
        r = env_validate(*ret, ENV_AGENT, path, err);
    if (r >= 0)
        *ret_text = TAKE_PTR(text);
    return r;
}

/* The files of other programs' faults and keys are watched like those that we read ourselves, and so are sshd's host keys: the
 * cloud hears of each change. */
static int watch_files(const BoxConfig *c, const char *ca_file)
{
    static const char *const inside[] = { AGENT_ENV_PATH,  SECBOX_ENV_PATH,     POLICY_PATH,
                                          LINK_FAULT_PATH, RECOVERY_FAULT_PATH, SECBOX_FAULT_PATH };
    _cleanup_(strv_freep) char **paths = NULL;

    for (size_t i = 0; i < ELEMENTSOF(inside); i++)
        if (strv_take(&paths, path_in_root(inside[i])) < 0)
            return -ENOMEM;
    for (size_t i = 0; key_offer_paths[i]; i++)
        if (strv_take(&paths, path_in_root(key_offer_paths[i])) < 0)
            return -ENOMEM;
    for (size_t i = 0; ssh_host_key_paths[i]; i++)
        if (strv_take(&paths, path_in_root(ssh_host_key_paths[i])) < 0)
            return -ENOMEM;
    if (ca_file && ca_file[0] == '/' && strv_add(&paths, ca_file) < 0)
        return -ENOMEM;
    return config_watch_set(c->watch, (const char *const *) paths);
}

/* What the containers were made with is in the digest that belongs to the deployment. */
static int check_waiting(Error *err)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;
    _cleanup_(freep) char *inputs = NULL;
    const char *bundle = NULL;

    if (current_load(&current, NULL) < 0 || !current || !current->version || !current->inputs)
        return 0;
    if (store_load_snapshot(current->version, &snapshot, NULL) < 0 || !json_string(snapshot, "compose") ||
        bundle_of_snapshot(snapshot, &bundle, NULL) < 0 ||
        store_inputs_digest(json_string(snapshot, "compose"), bundle, &inputs, NULL) < 0 ||
        str_equal(inputs, current->inputs))
        return 0;
    return error_set(err, EAGAIN, CONFIG_WAITS,
                     "secbox.env or policy.json has changed since version %s was deployed; the containers take it with "
                     "the next push",
                     current->version);
}

/* Made by the first push where it is not there yet. */
static int check_secbox_env(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (!path)
        return -ENOMEM;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int r = env_load_kind(ENV_SECBOX, path, &env, err);
    return r < 0 ? r : env_validate(env, ENV_SECBOX, path, err);
}

static void take_device_id(Agent *a, const EnvFile *env)
{
    const char *id = env_get(env, "DEVICE_ID");

    if (str_equal(a->device_id, id))
        return;
    free(a->device_id);
    a->device_id = strdup(id);
    log_set_field("DEVICE", a->device_id);
}

/* The file was found good. */
static void take_stop_alarm(Agent *a, const EnvFile *env)
{
    const char *value = env_get(env, "STOP_ALARM_AFTER");

    a->stop_alarm = STOP_ALARM_DEFAULT_USEC;
    if (!str_empty(value) && duration_parse(value, &a->stop_alarm) < 0)
        a->stop_alarm = 0; /* off */
    service_watch_take_settings(a->services);
    project_watches_take_settings(a);
}

static int check_all(BoxConfig *c, Error *err)
{
    _cleanup_(env_freep) EnvFile *env = NULL;
    char *text = NULL;
    int r = read_agent_env(&text, &env, err);

    secret_free(c->text);
    c->text = text;
    if (r < 0)
        return r;
    take_device_id(c->agent, env);
    take_stop_alarm(c->agent, env);
    const char *ca_file = env_get(env, "CLOUD_CA_FILE");
    r = watch_files(c, ca_file);
    if (r >= 0)
        r = config_check_ca_file(ca_file, "mgmt-agent", err);
    if (r >= 0)
        r = check_secbox_env(err);
    return r < 0 ? r : check_waiting(err);
}

static void log_news(BoxConfig *c, const Error *err, int r)
{
    const char *text = r < 0 ? error_message(err, r) : NULL;

    if (str_equal(c->told, text))
        return;
    if (r < 0 && str_equal(error_id(err), CONFIG_WAITS))
        log_notice("%s", text);
    else if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "The configuration of this box is not usable");
    else
        log_notice("The configuration of this box is good again");
    free(c->told);
    c->told = text ? strdup(text) : NULL;
}

void box_config_look(BoxConfig *c)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_FAULT_PATH);
    _cleanup_(error_done) Error err = {};
    int r = c ? check_all(c, &err) : 0;

    if (!c)
        return;
    log_news(c, &err, r);
    if (path && config_fault_tell(path, "mgmt-agent", r < 0 ? &err : NULL, r) < 0)
        log_warning("%s cannot be written", path);
}

void box_config_hand_over(const BoxConfig *c)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("link.config");

    if (c && c->text && m && json_add_string(m, "text", c->text) == 0)
        control_send(control_link(c->agent->control), m);
}

static void on_change(void *userdata)
{
    BoxConfig *c = userdata;

    box_config_look(c);
    box_config_hand_over(c);
    pairing_look(c->agent->pairing);
    agent_vouch(c->agent);
    agent_tell_cloud(c->agent);
}

int box_config_new(Agent *a, BoxConfig **ret, Error *err)
{
    BoxConfig *c = calloc(1, sizeof(*c));
    int r = c ? config_watch_new(a->event, on_change, c, &c->watch, err) : -ENOMEM;

    if (r >= 0) {
        c->agent = a;
        r = watch_files(c, NULL);
    }
    if (r < 0) {
        box_config_free(c);
        return error_from_errno(err, r, "cannot watch the configuration");
    }
    box_config_look(c);
    *ret = c;
    return 0;
}

BoxConfig *box_config_free(BoxConfig *c)
{
    if (!c)
        return NULL;
    config_watch_free(c->watch);
    secret_free(c->text);
    free(c->told);
    free(c);
    return NULL;
}

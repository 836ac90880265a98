/* SPDX-License-Identifier: MIT */
/* Takes the known variables and judges them as env/ would judge the file that they came from. */
#include "secbox/secbox-config.h"

#include <errno.h>
#include <string.h>

#include "env/dotenv.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/http/origin.h"
#include "lib/net/host-port.h"

#define STATE_DEFAULT "/var/lib/secbox"
#define RUN_DEFAULT "/run/secbox"
#define LAN_LISTEN_DEFAULT "0.0.0.0:8443"
#define LAN_RATE_DEFAULT 20
#define SSH_TARGET_DEFAULT "host.containers.internal:22"
#define SOURCE "the environment (secbox.env)"

static const char *variable(const char *name, const char *fallback)
{
    const char *value = getenv(name);

    return str_empty(value) ? fallback : value;
}

char *config_heartbeat_path(void)
{
    return path_join(variable("SECBOX_RUN", RUN_DEFAULT), "heartbeat");
}

void config_tell(const Error *err, int r)
{
    _cleanup_(freep) char *path = path_join(variable("SECBOX_RUN", RUN_DEFAULT), CONFIG_FAULT_NAME);
    int told = path ? config_fault_tell(path, "secbox", err, r) : -ENOMEM;

    if (told < 0)
        log_warning("no word can be left of what is wrong with the configuration: %s", strerror(-told));
}

void config_done(Config *c)
{
    env_free(c->env);
    free(c->state_dir);
    free(c->run_dir);
    free(c->heartbeat);
    free(c->ssh_host);
    free(c->lan_address);
    free(c->media_address);
    free(c->media_origin);
    *c = (Config) {};
}

static int take_variables(const EnvFile *file, EnvFile *env, const char *source, Error *err)
{
    for (const EnvRule *rule = env_rules; rule->key; rule++) {
        const char *value = file ? env_get(file, rule->key) : NULL;

        if (!(rule->kinds & ENV_SECBOX))
            continue;
        if (!value)
            value = getenv(rule->key);
        int r = value ? env_set(env, rule->key, value, err) : 0;
        if (r < 0)
            return error_prefix(err, r, "%s", source);
    }
    return 0;
}

static int take_env(const char *env_file, Config *c, Error *err)
{
    const char *source = env_file ? env_file : SOURCE;
    _cleanup_(env_freep) EnvFile *file = NULL;
    int r = env_file ? dotenv_load(env_file, &file, err) : 0;

    if (r >= 0)
        r = take_variables(file, c->env, source, err);
    return r < 0 ? r : env_validate(c->env, ENV_SECBOX, source, err);
}

static int take_ssh_target(Config *c)
{
    const char *value = env_get(c->env, "SSH_TARGET");

    return host_port_split(str_empty(value) ? SSH_TARGET_DEFAULT : value, &c->ssh_host, &c->ssh_port);
}

static int take_lan_listen(Config *c)
{
    const char *value = env_get(c->env, "LAN_LISTEN");

    if (str_equal(value, "off") || (str_empty(value) && !c->database_url))
        return 0;
    return host_port_split(str_empty(value) ? LAN_LISTEN_DEFAULT : value, &c->lan_address, &c->lan_port);
}

static int take_media_listen(Config *c)
{
    const char *value = env_get(c->env, "MEDIA_LISTEN");

    return str_empty(value) || str_equal(value, "off") ? 0 : host_port_split(value, &c->media_address, &c->media_port);
}

/* Where the portal is that shows recordings: unless it is said, where the cloud is. */
static int take_media_origin(Config *c)
{
    const char *value = env_get(c->env, "MEDIA_ORIGIN"), *url = str_empty(value) ? c->cloud_url : value;

    if (!url)
        return 0;
    c->media_origin = http_origin_of(url);
    return c->media_origin ? 0 : -ENOMEM;
}

/* env_validate() has seen it. */
static unsigned number_of(const EnvFile *env, const char *key, unsigned max, unsigned fallback)
{
    uint64_t n = fallback;

    return str_to_u64(env_get(env, key), 1, max, &n) < 0 ? fallback : (unsigned) n;
}

static unsigned lan_rate(const EnvFile *env)
{
    return str_equal(env_get(env, "LAN_RATE"), "off") ? 0 : number_of(env, "LAN_RATE", LAN_RATE_MAX, LAN_RATE_DEFAULT);
}

static const char *value_or_null(const EnvFile *env, const char *key)
{
    const char *value = env_get(env, key);

    return str_empty(value) ? NULL : value;
}

static void warn_of_what_has_no_effect(const Config *c)
{
    if (c->entry_camera && !c->frigate_url)
        log_warning("ENTRY_CAMERA has no effect without FRIGATE_URL: set it in secbox.env");
}

int config_load(const char *env_file, Config *ret, Error *err)
{
    _cleanup_(config_done) Config c = { .env = env_new() };
    int r;

    c.state_dir = strdup(variable("SECBOX_STATE", STATE_DEFAULT));
    c.run_dir = strdup(variable("SECBOX_RUN", RUN_DEFAULT));
    c.heartbeat = config_heartbeat_path();
    if (!c.env || !c.state_dir || !c.run_dir || !c.heartbeat)
        return error_from_errno(err, -ENOMEM, "cannot keep the configuration");
    r = take_env(env_file, &c, err);
    if (r < 0)
        return r;
    r = take_ssh_target(&c);
    if (r < 0)
        return error_from_errno(err, r, "cannot take SSH_TARGET");
    c.cloud_url = value_or_null(c.env, "CLOUD_BASE_URL");
    c.device_id = value_or_null(c.env, "DEVICE_ID");
    c.gateway_url = value_or_null(c.env, "DEVICE_GATEWAY_URL");
    c.bootstrap = value_or_null(c.env, "BOOTSTRAP");
    c.ca_file = value_or_null(c.env, "CLOUD_CA_FILE");
    c.database_url = value_or_null(c.env, "DATABASE_URL");
    c.lan_names = value_or_null(c.env, "LAN_NAMES");
    c.lan_rate = lan_rate(c.env);
    c.queue_mb = number_of(c.env, "QUEUE_MAX_MB", QUEUE_MB_MAX, QUEUE_MB_DEFAULT);
    c.queue_days = number_of(c.env, "QUEUE_MAX_DAYS", QUEUE_DAYS_MAX, QUEUE_DAYS_DEFAULT);
    c.data_old_hours = number_of(c.env, "DATA_OLD_HOURS", DATA_OLD_HOURS_MAX, DATA_OLD_HOURS_DEFAULT);
    c.frigate_url = value_or_null(c.env, "FRIGATE_URL");
    c.frigate_user = value_or_null(c.env, "FRIGATE_USER");
    c.frigate_password = value_or_null(c.env, "FRIGATE_PASSWORD");
    c.entry_camera = value_or_null(c.env, "ENTRY_CAMERA");
    c.media_kbit = number_of(c.env, "MEDIA_UPLINK_KBIT", CAMERA_UPLINK_KBIT_MAX, MEDIA_UPLINK_KBIT_DEFAULT);
    c.camera_kbit = number_of(c.env, "CAMERA_UPLINK_KBIT", CAMERA_UPLINK_KBIT_MAX, CAMERA_UPLINK_KBIT_DEFAULT);
    r = take_lan_listen(&c);
    if (r < 0)
        return error_from_errno(err, r, "cannot take LAN_LISTEN");
    r = take_media_listen(&c);
    if (r < 0)
        return error_from_errno(err, r, "cannot take MEDIA_LISTEN");
    r = take_media_origin(&c);
    if (r < 0)
        return error_from_errno(err, r, "cannot take MEDIA_ORIGIN");
    if (!c.gateway_url)
        return error_set_at(err, EINVAL, "config.no-gateway", NULL, 0, "DEVICE_GATEWAY_URL",
                            "%s lacks DEVICE_GATEWAY_URL, where the device tunnel goes; add it as wss://HOST/device",
                            env_file ? env_file : SOURCE);
    warn_of_what_has_no_effect(&c);
    *ret = c;
    c = (Config) {};
    return 0;
}

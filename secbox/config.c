/* SPDX-License-Identifier: MIT */
/* Takes the known variables and judges them as env/ would judge the file that they came from. */
#include "secbox/config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define STATE_DEFAULT "/var/lib/secbox"
#define RUN_DEFAULT "/run/secbox"
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

void config_done(Config *c)
{
    env_free(c->env);
    free(c->state_dir);
    free(c->heartbeat);
    *c = (Config) {};
}

static int take_variables(EnvFile *env, Error *err)
{
    for (const EnvRule *rule = env_rules; rule->key; rule++) {
        const char *value = rule->kinds & ENV_SECBOX ? getenv(rule->key) : NULL;
        int r = value ? env_set(env, rule->key, value, err) : 0;

        if (r < 0)
            return error_prefix(err, r, SOURCE);
    }
    return 0;
}

static const char *value_or_null(const EnvFile *env, const char *key)
{
    const char *value = env_get(env, key);

    return str_empty(value) ? NULL : value;
}

int config_load(Config *ret, Error *err)
{
    _cleanup_(config_done) Config c = {.env = env_new()};
    int r;

    c.state_dir = strdup(variable("SECBOX_STATE", STATE_DEFAULT));
    c.heartbeat = config_heartbeat_path();
    if (!c.env || !c.state_dir || !c.heartbeat)
        return error_from_errno(err, -ENOMEM, "cannot keep the configuration");
    r = take_variables(c.env, err);
    if (r >= 0)
        r = env_validate(c.env, ENV_SECBOX, SOURCE, err);
    if (r < 0)
        return r;
    c.cloud_url = value_or_null(c.env, "CLOUD_BASE_URL");
    c.device_id = value_or_null(c.env, "DEVICE_ID");
    c.gateway_url = value_or_null(c.env, "DEVICE_GATEWAY_URL");
    c.bootstrap = value_or_null(c.env, "BOOTSTRAP");
    c.ca_file = value_or_null(c.env, "CLOUD_CA_FILE");
    if (!c.gateway_url)
        return error_set_at(err, EINVAL, "config.no-gateway", NULL, 0, "DEVICE_GATEWAY_URL",
                            SOURCE " lacks DEVICE_GATEWAY_URL, where the device tunnel goes; add it as wss://HOST/device");
    *ret = c;
    c = (Config) {};
    return 0;
}

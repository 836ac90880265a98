/* SPDX-License-Identifier: MIT */
#include "relay-client/settings/relay-settings.h"

#include <errno.h>
#include <string.h>

#include "env/dotenv.h"
#include "env/env-rules.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/net/host-port.h"

#define ENVIRONMENT "the environment"
#define TARGET_DEFAULT "127.0.0.1:8444"
#define HEARTBEAT_DEFAULT 40
#define RETRY_DEFAULT 60

void relay_settings_done(RelaySettings *s)
{
    env_free(s->env);
    free(s->server_host);
    free(s->target_host);
    *s = (RelaySettings) {};
}

/* An edited file has to count at the next start, whatever the container was once made with. */
static int take_values(const EnvFile *file, EnvFile *env, Error *err)
{
    for (const EnvRule *rule = env_rules; rule->key; rule++) {
        const char *value = file ? env_get(file, rule->key) : NULL;

        if (!(rule->kinds & ENV_RELAY))
            continue;
        if (!value)
            value = getenv(rule->key);
        int r = str_empty(value) ? 0 : env_set(env, rule->key, value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static const char *value_or_null(const EnvFile *env, const char *key)
{
    const char *value = env_get(env, key);

    return str_empty(value) ? NULL : value;
}

static usec_t seconds(const EnvFile *env, const char *key, uint64_t fallback)
{
    const char *value = value_or_null(env, key);
    uint64_t n = fallback;

    if (value && str_to_u64(value, 1, UINT32_MAX, &n) < 0)
        n = fallback;
    return n * USEC_PER_SEC;
}

static int fill(RelaySettings *s)
{
    const char *target = value_or_null(s->env, "RELAY_TARGET"), *server = value_or_null(s->env, "TUNNEL_SERVER");
    int r = host_port_split(target ? target : TARGET_DEFAULT, &s->target_host, &s->target_port);

    if (r >= 0 && server)
        r = host_port_split(server, &s->server_host, &s->server_port);
    s->token = value_or_null(s->env, "TUNNEL_TOKEN");
    s->remote_name = value_or_null(s->env, "TUNNEL_REMOTE_NAME");
    if (!s->remote_name)
        s->remote_name = value_or_null(s->env, "DEVICE_ID");
    s->public_url = value_or_null(s->env, "TUNNEL_PUBLIC_URL");
    s->ca_file = value_or_null(s->env, "TUNNEL_CA_FILE");
    s->cloud_url = value_or_null(s->env, "CLOUD_BASE_URL");
    s->tls = str_equal(env_get(s->env, "TUNNEL_TRANSPORT"), "tls");
    s->heartbeat_timeout = seconds(s->env, "TUNNEL_HEARTBEAT_TIMEOUT", HEARTBEAT_DEFAULT);
    s->retry_max = seconds(s->env, "TUNNEL_RETRY_MAX", RETRY_DEFAULT);
    if (s->token)
        redact_add_secret(s->token);
    return r;
}

int relay_settings_load(const char *env_file, RelaySettings *ret, Error *err)
{
    _cleanup_(relay_settings_done) RelaySettings s = { .env = env_new() };
    _cleanup_(env_freep) EnvFile *file = NULL;
    const char *source = env_file ? env_file : ENVIRONMENT;
    int r = env_file ? dotenv_load(env_file, &file, err) : 0;

    if (r >= 0)
        r = s.env ? take_values(file, s.env, err) : -ENOMEM;
    if (r >= 0)
        r = env_validate(s.env, ENV_RELAY, source, err);
    if (r >= 0)
        r = env_check_tunnel(s.env, source, &s.provider, err);
    if (r >= 0)
        r = fill(&s);
    if (r < 0)
        return error_from_errno(err, r, "cannot take the configuration of %s", source);
    *ret = s;
    s = (RelaySettings) {};
    return 0;
}

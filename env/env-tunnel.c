/* SPDX-License-Identifier: MIT */
#include "env/env-tunnel.h"

#include <errno.h>

#include "lib/base/strv.h"

const char *const tunnel_provider_names[] = {
    [TUNNEL_NONE] = "none",
    [TUNNEL_CLOUDFLARE] = "cloudflare",
    [TUNNEL_RATHOLE] = "rathole",
    NULL,
};

static const char *const needed[][3] = {
    [TUNNEL_CLOUDFLARE] = { "TUNNEL_TOKEN" },
    [TUNNEL_RATHOLE] = { "TUNNEL_TOKEN", "TUNNEL_SERVER" },
};

static bool is_set(const EnvFile *e, const char *key)
{
    return !str_empty(env_get(e, key));
}

static int check_needed(const EnvFile *e, TunnelProvider provider, const char *file, Error *err)
{
    _cleanup_(strv_freep) char **missing = NULL;
    int r = 0;

    for (size_t i = 0; provider != TUNNEL_NONE && r >= 0 && i < ELEMENTSOF(needed[provider]); i++)
        if (needed[provider][i] && !is_set(e, needed[provider][i]))
            r = strv_add(&missing, needed[provider][i]);
    if (r >= 0 && provider == TUNNEL_RATHOLE && !is_set(e, "TUNNEL_REMOTE_NAME") && !is_set(e, "DEVICE_ID"))
        r = strv_add(&missing, "TUNNEL_REMOTE_NAME");
    if (r < 0 || !missing)
        return r;
    _cleanup_(freep) char *list = strv_join(missing, ", ");
    return error_set_at(err, EINVAL, "tunnel.missing-keys", file, 0, missing[0],
                        "%s: TUNNEL_PROVIDER=%s needs %s as well; add each as a line NAME=value", file,
                        tunnel_provider_names[provider], list ? list : missing[0]);
}

/* A key that would be ignored is one that somebody believes in. */
static int check_together(const EnvFile *e, const char *file, Error *err)
{
    if (is_set(e, "TUNNEL_CA_FILE") && !str_equal(env_get(e, "TUNNEL_TRANSPORT"), "tls"))
        return error_set_at(err, EINVAL, "tunnel.not-together", file, 0, "TUNNEL_CA_FILE",
                            "%s: TUNNEL_CA_FILE says whom to trust, and nothing is encrypted without "
                            "TUNNEL_TRANSPORT=tls; add that, or take TUNNEL_CA_FILE away",
                            file);
    return 0;
}

int env_check_tunnel(const EnvFile *e, const char *file, TunnelProvider *ret, Error *err)
{
    const char *name = env_get(e, "TUNNEL_PROVIDER");
    TunnelProvider provider = TUNNEL_NONE;

    while (!str_empty(name) && tunnel_provider_names[provider] && !str_equal(name, tunnel_provider_names[provider]))
        provider++;
    if (!tunnel_provider_names[provider])
        return error_set_at(err, EINVAL, "env.bad-value", file, 0, "TUNNEL_PROVIDER",
                            "%s: TUNNEL_PROVIDER must be cloudflare, rathole or none", file);
    int r = check_needed(e, provider, file, err);
    if (r >= 0 && provider == TUNNEL_RATHOLE)
        r = check_together(e, file, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot check the tunnel's keys");
    *ret = provider;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Where gateway, token and CA come from: an option, else the environment, else ~/.config/secbox/fleet.env. */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env-file.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/http/client.h"

#define LOGIN_DEFAULT "root"
#define TOKENS "tokens.d"
#define LOGIN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

char *fleet_config_path(const char *name)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (!str_empty(config) && config[0] == '/')
        return str_format("%s/secbox/%s", config, name);
    const struct passwd *user = str_empty(home) ? getpwuid(geteuid()) : NULL; /* as under cron, or in a unit */

    if (user)
        home = user->pw_dir;
    return str_empty(home) ? NULL : str_format("%s/.config/secbox/%s", home, name);
}

char *fleet_token_path(const Fleet *fleet)
{
    _cleanup_(freep) char *gateway = api_encode(fleet->api.gateway),
                          *name = gateway ? path_join(TOKENS, gateway) : NULL;

    return name ? fleet_config_path(name) : NULL;
}

/* A missing file is an empty one. */
static int load_config(EnvFile **ret, Error *err)
{
    _cleanup_(freep) char *path = fleet_config_path("fleet.env");
    struct stat st;

    if (!path || stat(path, &st) < 0)
        return (*ret = env_new()) ? 0 : error_from_errno(err, -ENOMEM, "read the configuration");
    int r = env_load(path, ret, err);
    if (r < 0)
        return r;
    if (env_get(*ret, "SECBOX_TOKEN") && (st.st_mode & 077)) {
        env_free(TAKE_PTR(*ret));
        return error_set_at(err, EPERM, "fleet.open-token", path, 0, "SECBOX_TOKEN",
                            "others can read the token in this file: run chmod 0600 %s", path);
    }
    return 0;
}

/* Borrowed; NULL when the setting is nowhere. */
static const char *setting(const char *option, const EnvFile *config, const char *key)
{
    const char *environment = getenv(key);

    if (option)
        return option;
    return !str_empty(environment) ? environment : env_get(config, key);
}

static bool is_token(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= JWT_SIZE_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789-._~+/=:") == len;
}

/* --token-file, SECBOX_TOKEN, SECBOX_TOKEN_FILE, then the same two keys of the configuration, then the token of sign-in. */
static int find_token(Fleet *fleet, const EnvFile *config, char **ret, Error *err)
{
    bool named = fleet->token_file || fleet->signs_out;
    const char *value = named ? NULL : setting(NULL, config, "SECBOX_TOKEN");
    const char *file = named ? fleet->token_file : setting(NULL, config, "SECBOX_TOKEN_FILE");
    _cleanup_(freep) char *signed_in = fleet_token_path(fleet);
    _cleanup_(secret_freep) char *text = NULL;

    fleet->has_other_token = fleet->without_token && (value || file);
    if (fleet->without_token)
        return 0;
    if (!value && !file && signed_in && access(signed_in, F_OK) == 0)
        file = signed_in;
    if (!value && !file && fleet->signs_out)
        return error_set(err, ENOENT, "fleet.sign-in", "nobody is signed in here at %s", fleet->api.gateway);
    if (!value && !file)
        return error_set(err, EINVAL, "usage",
                         "no token: run secbox-fleet sign-in, give --token-file, or set SECBOX_TOKEN");
    if (value) {
        text = strdup(value);
        if (!text)
            return error_from_errno(err, -ENOMEM, "read the token");
    } else {
        int r = file_read(file, JWT_SIZE_MAX, &text, NULL, err);
        if (r < 0)
            return r;
    }
    text[strcspn(text, "\r\n")] = '\0';
    if (!is_token(text))
        return error_set(err, EINVAL, "fleet.bad-token", "%s holds no token: one line without white space is expected",
                         value ? "SECBOX_TOKEN" : file);
    redact_add_secret(text);
    *ret = TAKE_PTR(text);
    return 0;
}

/* By name or number only: what a name resolves to is another's word. */
static bool is_loopback(const char *url)
{
    if (!str_starts(url, "http://"))
        return false;
    const char *host = url + strlen("http://");
    size_t len = strcspn(host, "/?#"), digits = strspn(host, "0123456789.");

    if (len >= 5 && strncmp(host, "[::1]", 5) == 0)
        return len == 5 || host[5] == ':';
    len = strcspn(host, ":/?#");
    return (len == 9 && strncmp(host, "localhost", 9) == 0) || (digits == len && str_starts(host, "127."));
}

static int find_gateway(const Fleet *fleet, const EnvFile *config, char **ret, Error *err)
{
    const char *url = setting(fleet->gateway, config, "SECBOX_GATEWAY");
    _cleanup_(error_done) Error why = {};

    if (!url)
        return error_set(err, EINVAL, "usage", "no gateway: give --gateway or set SECBOX_GATEWAY");
    if (url_check(url, "https,http", &why) < 0)
        return error_set(err, EINVAL, "usage", "the gateway \"%s\" is no URL: %s", url, error_message(&why, -EINVAL));
    if (!str_starts(url, "https://") && !is_loopback(url) && !fleet->plain_http)
        return error_set(err, EPERM, "fleet.plain-http",
                         "%s would send your token readable over the network: use https, or say --plain-http", url);

    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    *ret = strndup(url, len);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "read the configuration");
}

/* A name that could be taken for an option of ssh is no name. */
static int find_login(const Fleet *fleet, const EnvFile *config, char **ret, Error *err)
{
    const char *login = setting(fleet->user, config, "SECBOX_SSH_USER");

    if (str_empty(login))
        login = LOGIN_DEFAULT;
    if (login[0] == '-' || strspn(login, LOGIN_CHARACTERS) != strlen(login))
        return error_set(err, EINVAL, "usage", "the user name on the box, \"%s\", is no user name", login);
    *ret = strdup(login);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "read the configuration");
}

int fleet_begin(Fleet *fleet, Error *err)
{
    _cleanup_(env_freep) EnvFile *config = NULL;

    if (fleet->api.gateway) /* begun already */
        return 0;
    int r = load_config(&config, err);
    if (r >= 0)
        r = find_login(fleet, config, &fleet->login, err);
    if (r >= 0)
        r = find_gateway(fleet, config, &fleet->api.gateway, err);
    if (r >= 0)
        r = find_token(fleet, config, &fleet->api.token, err);
    if (r < 0)
        return r;
    const char *ca = setting(fleet->ca, config, "SECBOX_CA");
    fleet->api.ca_file = !str_empty(ca) ? strdup(ca) : NULL;
    return !str_empty(ca) && !fleet->api.ca_file ? error_from_errno(err, -ENOMEM, "read the configuration") : 0;
}

/* SPDX-License-Identifier: MIT */
#include "relay-client/cloudflare/cloudflared-answers.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define HTTP_OK 200
#define CONNECTIONS_MAX 1000
#define HOST_MAX 253

int cloudflared_ready_connections(int status, const char *body, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    uint64_t n = 0;

    if (json_parse_object(body, len, &o, NULL) < 0 || json_u64(o, "readyConnections", &n) < 0 || n > CONNECTIONS_MAX)
        return -EBADMSG;
    return status == HTTP_OK ? (int) n : 0;
}

static bool is_host_name(const char *name)
{
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") : 0;

    return n > 0 && n <= HOST_MAX && !name[n] && name[0] != '.' && name[0] != '-';
}

char *cloudflared_public_url(const char *body, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    const cJSON *rule;

    if (json_parse_object(body, len, &o, NULL) < 0)
        return NULL;
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(o, "config");
    cJSON_ArrayForEach(rule, cJSON_GetObjectItemCaseSensitive(config, "ingress")) {
        const char *name = json_string(rule, "hostname");
        if (is_host_name(name))
            return str_format("https://%s", name);
    }
    return NULL;
}

int cloudflared_check_token(const char *token, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(freep) uint8_t *data = NULL;
    size_t len = 0;
    int r = base64_decode(token, strlen(token), &data, &len);

    if (r >= 0)
        r = json_parse_object((const char *) data, len, &o, NULL);
    if (r >= 0 && (!json_string(o, "a") || !json_string(o, "t") || !json_string(o, "s")))
        r = -EBADMSG;
    if (data)
        explicit_bzero(data, len);
    return r >= 0 ? 0
                  : error_set_at(err, EINVAL, "relay.bad-token", NULL, 0, "TUNNEL_TOKEN",
                                 "TUNNEL_TOKEN is not the token of a Cloudflare tunnel; copy all of what the dashboard "
                                 "shows behind \"--token\"");
}

/* SPDX-License-Identifier: MIT */
#include "gateway/http/url-client.h"

#include <stdlib.h>

#include "lib/base/fileio.h"
#include "lib/net/public-address.h"

#define AUTHORITIES_MAX ((size_t) 512 * 1024)

int url_client_init(UrlClient *o, sd_event *event, const UrlClientOptions *options, Error *err)
{
    int r = proxy_list_new(options->networks, &o->networks, err);

    if (r < 0)
        return error_prefix(err, r, "%s", options->networks_option);
    if (options->ca_file)
        r = file_read(options->ca_file, AUTHORITIES_MAX, &o->authorities, NULL, err);
    return r < 0 ? error_prefix(err, r, "%s", options->ca_option) : http_client_new(event, &o->client, err);
}

void url_client_done(UrlClient *o)
{
    http_client_free(o->client);
    proxy_list_free(o->networks);
    free(o->authorities);
    *o = (UrlClient) {};
}

bool url_client_may_connect(const struct sockaddr *address, void *url_client)
{
    const UrlClient *o = url_client;

    return address_is_public(address) || proxy_list_has(o->networks, address);
}

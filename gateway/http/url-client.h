/* SPDX-License-Identifier: MIT */
/* Requests to URLs that somebody else has named: they lead nowhere but to the Internet, unless the gateway's operator names
 * networks; and authorities of certificates beside the system's. */
#pragma once

#include "lib/base/error.h"
#include "lib/http/client.h"
#include "lib/http/proxy-header.h"

typedef struct UrlClient {
    HttpClient *client;
    char *authorities; /* PEM, for HttpRequest.ca_pem; NULL: the system's alone */
    ProxyList *networks;
} UrlClient;

typedef struct UrlClientOptions {
    const char *ca_file;  /* PEM of authorities beside the system's; NULL: none */
    const char *networks; /* that lie not on the Internet and may be connected to all the same; NULL: none */
    const char *ca_option, *networks_option; /* how an operator names these two, for errors */
} UrlClientOptions;

/* On failure as on success it is to be undone; all zero it may be. file.*, what proxy_list_new() says. */
int url_client_init(UrlClient *o, sd_event *event, const UrlClientOptions *options, Error *err) _must_check_;
void url_client_done(UrlClient *o);
/* HttpRequest.may_connect; `url_client` is a UrlClient. */
bool url_client_may_connect(const struct sockaddr *address, void *url_client);

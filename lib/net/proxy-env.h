/* SPDX-License-Identifier: MIT */
/* The HTTP proxy by which the environment sends connections to a host: https_proxy, HTTPS_PROXY (TLS), http_proxy (plain),
 * all_proxy, ALL_PROXY, and those that no_proxy or NO_PROXY excepts, all as curl reads them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct ProxyEnv {
    char *host; /* NULL: there is none */
    uint16_t port;
    char *login; /* "user:password", either of which may be empty; NULL: none; a secret */
} ProxyEnv;

/* Error id proxy.bad-url: a variable that names no HTTP proxy (SOCKS, or one that is spoken to by TLS, are not known here). */
int proxy_env_find(const char *host, bool tls, ProxyEnv *ret, Error *err) _must_check_;
void proxy_env_done(ProxyEnv *p);

/* SPDX-License-Identifier: MIT */
/* Who called through a proxy: the header of the PROXY protocol (versions 1 and 2), X-Forwarded-For, and the list of
 * addresses from which either is believed. Without I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base/error.h"

/* The longest header that is accepted; version 2 may carry further fields, of which proxies send a few hundred bytes. */
#define PROXY_HEADER_MAX 2048

/* Addresses and networks, "127.0.0.1,::1,10.0.0.0/8". */
typedef struct ProxyList ProxyList;

/* NULL or "" is an empty list. Error: config.proxies. */
int proxy_list_new(const char *text, ProxyList **ret, Error *err) _must_check_;
ProxyList *proxy_list_free(ProxyList *l);
DEFINE_CLEANUP(ProxyList, proxy_list_free)
bool proxy_list_has(const ProxyList *l, const struct sockaddr *address);
/* The same for "192.0.2.1", "192.0.2.1:443", "::1", "[::1]:443"; false for anything that is not an address. */
bool proxy_list_has_text(const ProxyList *l, const char *address);

/* Whom an address of that kind belongs to, as far as one can tell: an IPv4 address is one caller, and the first 64 bits of an IPv6
 * one are. `ret` is all zero for anything that is not an address. */
void caller_network(const char *address, uint8_t ret[16]);

/* Takes what has arrived of a header. Returns how many more bytes certainly belong to it, so that nothing that follows
 * is read with it; 0 when it is whole. Then *ret_peer is "192.0.2.1:443" or "[2001:db8::1]:443", or NULL when the proxy
 * speaks for itself (LOCAL, UNKNOWN). Errors: proxy.bad-header. */
int proxy_header_read(const uint8_t *data, size_t len, char **ret_peer, Error *err) _must_check_;

/* The last address of the list that is not one of our proxies: whoever called could have made up all before it. A new
 * string, or NULL when there is none. */
char *proxy_forwarded_peer(const ProxyList *proxies, const char *header);

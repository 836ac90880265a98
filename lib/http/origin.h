/* SPDX-License-Identifier: MIT */
/* For whom a browser's request is, and whose page has caused it. Pure. */
#pragma once

#include <stdbool.h>

/* Whether a Host header (RFC 9110 §7.2; NULL: none) names an address, or what `is_name` knows. A page of another site cannot make a
 * browser send an address: DNS rebinding needs a name. */
bool http_host_is_ours(const char *host, bool (*is_name)(const char *name, void *userdata), void *userdata);

/* What a browser says of a request that another site's page has caused, by Sec-Fetch-Site (Fetch Metadata) and Origin (RFC 6454);
 * each NULL when it says nothing. scheme: "http" or "https", as this server is spoken to. */
bool http_is_from_elsewhere(const char *scheme, const char *host, const char *origin, const char *site);

/* The origin of a URL of https or http, as a browser writes it: without capitals, the port that goes without saying, and what
 * follows the host. A new string; NULL when out of memory, or where there is no "://". */
char *http_origin_of(const char *url);

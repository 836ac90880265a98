/* SPDX-License-Identifier: MIT */
#include "lib/http/client-address.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/strv.h"
#include "lib/net/address-memory.h"
#include "lib/net/stream.h"

/* until TLS stands with one address */
#define CONNECT_MAX_USEC (10 * USEC_PER_SEC)
#define WORTH_TRYING_USEC (100 * USEC_PER_MSEC)
#define TRIES_MAX 8

struct curl_slist *http_fixed_addresses;

static curl_socket_t open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
    Transfer *t = userdata;
    _cleanup_(freep) char *text = stream_address_format(&address->addr);

    (void) purpose;
    if (t->may_connect && !t->may_connect(&address->addr, t->userdata)) {
        t->refused = true;
        return CURL_SOCKET_BAD;
    }
    if (t->picky && text && address_rank(text) > 0) {
        t->passed_over = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static long milliseconds(usec_t usec)
{
    usec_t ms = (usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;

    return ms > INT32_MAX ? (long) INT32_MAX : (long) ms;
}

CURLcode next_address_prepare(Transfer *t, const HttpRequest *request)
{
    usec_t half = request->timeout_usec / 2;
    CURLcode c;

    t->started = boottime_usec();
    if (request->unix_socket)
        return CURLE_OK;
    t->picky = true;
    t->tries = 1;
    c = curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    if (c == CURLE_OK && http_fixed_addresses)
        c = curl_easy_setopt(t->easy, CURLOPT_RESOLVE, http_fixed_addresses);
    if (c == CURLE_OK)
        c = curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    if (c == CURLE_OK && request->connect_timeout_usec == 0)
        c = curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                             milliseconds(half < CONNECT_MAX_USEC ? half : CONNECT_MAX_USEC));
    return c;
}

static void note(const Transfer *t, bool good)
{
    char *ip = NULL;
    long port = 0;

    if (curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip) != CURLE_OK || str_empty(ip) ||
        curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port) != CURLE_OK)
        return;
    _cleanup_(freep) char *text = str_format(strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, port);
    address_note(text, good);
}

/* Nothing came, and it was not us who ended it. */
static bool led_nowhere(const Transfer *t, CURLcode code)
{
    long status = 0;

    (void) curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 0 || t->silenced)
        return false;
    return code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_GOT_NOTHING;
}

static bool was_sent(const Transfer *t)
{
    long sent = 0;

    (void) curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    return sent > 0;
}

static bool start_over(Transfer *t, bool picky, usec_t left)
{
    t->picky = picky;
    t->passed_over = false;
    t->tries++;
    t->detail[0] = '\0';
    if (!picky && curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(left)) != CURLE_OK)
        return false;
    return curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, milliseconds(left)) == CURLE_OK;
}

bool next_address_try(Transfer *t, CURLcode *code)
{
    usec_t spent = boottime_usec() - t->started;
    usec_t left = spent < t->timeout_usec ? t->timeout_usec - spent : 0;
    bool nowhere = led_nowhere(t, *code), nothing_left = *code == CURLE_COULDNT_CONNECT && t->passed_over;

    if (t->tries == 0 || *code == CURLE_OK || nowhere)
        note(t, *code == CURLE_OK);
    if (t->tries == 0 || *code == CURLE_OK || (!nowhere && !nothing_left) || was_sent(t))
        return false;
    if (nowhere && t->first_failure == CURLE_OK) {
        t->first_failure = *code;
        (void) snprintf(t->first_detail, sizeof(t->first_detail), "%s", t->detail);
    }
    /* no address is left that nothing is known against: those that only were too slow get what time there is */
    if (left > WORTH_TRYING_USEC && t->tries < TRIES_MAX && t->picky &&
        (nowhere || t->first_failure == CURLE_OK || t->first_failure == CURLE_OPERATION_TIMEDOUT) &&
        start_over(t, !nothing_left, left))
        return true;
    if (nothing_left && t->first_failure != CURLE_OK) {
        *code = t->first_failure;
        memcpy(t->detail, t->first_detail, sizeof(t->detail));
    }
    return false;
}

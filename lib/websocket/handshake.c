/* SPDX-License-Identifier: MIT */
/* Both halves of the WebSocket handshake, and the URLs that lead to it. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest-sha1.h"
#include "lib/websocket/handshake.h"

/* RFC 6455 §1.3 */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define URL_MAX 2048

void ws_url_done(WsUrl *u)
{
    free(u->host);
    free(u->path);
    *u = (WsUrl) {};
}

static const char *url_fault(const char *text)
{
    if (strstr(text, "${"))
        return "contains \"${\": a variable was not filled in";
    if (strlen(text) > URL_MAX)
        return "is too long";
    for (const char *p = text; *p; p++)
        if (*p <= 0x20 || *p >= 0x7f)
            return "contains a blank or a character that URLs do not have";
    if (!str_starts(text, "wss://") && !str_starts(text, "ws://"))
        return "must start with wss:// (or ws://)";
    if (strchr(text, '#'))
        return "must not have a fragment (#)";
    return NULL;
}

/* "host", "host:port", "[v6]:port" */
static const char *split_authority(char *authority, WsUrl *u)
{
    char *port = NULL;
    const char *host = authority;
    if (strchr(authority, '@'))
        return "must not name a user";
    if (authority[0] == '[') {
        char *end = strchr(authority, ']');
        if (!end)
            return "has a \"[\" without \"]\"";
        *end = '\0';
        host = authority + 1;
        if (end[1] && end[1] != ':')
            return "has something behind the address";
        port = end[1] ? end + 2 : NULL;
    } else if ((port = strchr(authority, ':'))) {
        *port++ = '\0';
    }
    uint64_t number = u->tls ? 443 : 80;
    if (port && str_to_u64(port, 1, UINT16_MAX, &number) < 0)
        return "has a port that is no number from 1 to 65535";
    if (!*host || host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%")])
        return "has no host";
    u->port = (uint16_t) number;
    u->host = strdup(host);
    return NULL;
}

int ws_url_parse(const char *text, const char *id, WsUrl *ret, Error *err)
{
    WsUrl u = {};
    const char *fault = url_fault(text);
    if (!fault) {
        u.tls = text[2] == 's';
        const char *authority = strstr(text, "://") + 3;
        size_t len = strcspn(authority, "/?");
        _cleanup_(freep) char *copy = strndup(authority, len);
        const char *rest = authority + len;
        u.path = str_format("%s%s", *rest == '/' ? "" : "/", rest);
        if (!copy || !u.path) {
            ws_url_done(&u);
            return -ENOMEM;
        }
        fault = split_authority(copy, &u);
    }
    if (fault || !u.host) {
        ws_url_done(&u);
        return fault ? error_set(err, EINVAL, id, "the URL \"%s\" %s", text, fault) : -ENOMEM;
    }
    *ret = u;
    return 0;
}

int ws_make_key(char ret[static WS_KEY_SIZE])
{
    uint8_t raw[16];
    random_bytes(raw, sizeof raw);
    _cleanup_(freep) char *text = base64_encode(raw, sizeof raw);
    if (!text)
        return -ENOMEM;
    memcpy(ret, text, WS_KEY_SIZE);
    return 0;
}

static int accept_for(const char *key, char ret[static WS_ACCEPT_SIZE])
{
    uint8_t digest[SHA1_SIZE];
    _cleanup_(freep) char *joined = str_format("%s%s", key, ACCEPT_GUID);
    if (!joined)
        return -ENOMEM;
    int r = sha1(joined, strlen(joined), digest);
    if (r < 0)
        return r;
    _cleanup_(freep) char *text = base64_encode(digest, sizeof digest);
    if (!text)
        return -ENOMEM;
    memcpy(ret, text, WS_ACCEPT_SIZE);
    return 0;
}

static size_t count(const HttpHead *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n_fields; i++)
        n += strcasecmp(h->fields[i].name, name) == 0;
    return n;
}

static bool key_is_good(const HttpHead *h)
{
    _cleanup_(freep) uint8_t *raw = NULL;
    size_t len = 0;
    const char *key = http_head_get(h, "Sec-WebSocket-Key");
    if (!key || count(h, "Sec-WebSocket-Key") != 1)
        return false;
    return base64_decode(key, strlen(key), &raw, &len) >= 0 && len == 16;
}

int ws_check_request(const HttpHead *h, const char *protocol, char ret_accept[static WS_ACCEPT_SIZE], Error *err)
{
    if (!str_equal(h->method, "GET") || h->minor != 1 || h->chunked || h->content_length > 0 ||
        !http_head_has_token(h, "Connection", "upgrade") || !http_head_has_token(h, "Upgrade", "websocket"))
        return error_set(err, EINVAL, "ws.not-an-upgrade", "the request does not ask for a WebSocket");
    const char *version = http_head_get(h, "Sec-WebSocket-Version");
    if (!str_equal(version, "13") || count(h, "Sec-WebSocket-Version") != 1)
        return error_set(err, EPROTONOSUPPORT, "ws.version", "the WebSocket version must be 13");
    if (!key_is_good(h))
        return error_set(err, EINVAL, "ws.not-an-upgrade", "there must be one Sec-WebSocket-Key of 16 bytes in base64");
    if (protocol && !http_head_has_token(h, "Sec-WebSocket-Protocol", protocol))
        return error_set(err, EPROTONOSUPPORT, "ws.protocol", "Sec-WebSocket-Protocol must offer %s", protocol);
    return accept_for(http_head_get(h, "Sec-WebSocket-Key"), ret_accept);
}

int ws_make_response(Buf *out, const char *accept, const char *protocol)
{
    return buf_printf(out,
                      "HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n"
                      "%s%s%s\r\n",
                      accept, protocol ? "Sec-WebSocket-Protocol: " : "", protocol ? protocol : "",
                      protocol ? "\r\n" : "");
}

static bool token_is_printable(const char *s)
{
    for (; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f)
            return false;
    return true;
}

int ws_make_request(Buf *out, const WsUrl *url, const char *key, const char *protocol, const char *token)
{
    bool v6 = strchr(url->host, ':');
    if (token && (!*token || !token_is_printable(token)))
        return -EINVAL;
    int r = buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s%s%s", url->path, v6 ? "[" : "", url->host, v6 ? "]" : "");
    if (r >= 0 && url->port != (url->tls ? 443 : 80))
        r = buf_printf(out, ":%u", url->port);
    if (r >= 0)
        r = buf_printf(out,
                       "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                       key);
    if (r >= 0 && protocol)
        r = buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    if (r >= 0 && token)
        r = buf_printf(out, "Authorization: Bearer %s\r\n", token);
    return r >= 0 ? buf_puts(out, "\r\n") : r;
}

int ws_check_response(const HttpHead *h, const char *key, const char *protocol, Error *err)
{
    char accept[WS_ACCEPT_SIZE];
    if (h->status != 101)
        return error_set(err, EACCES, "ws.refused", "the server refused the WebSocket with HTTP status %d", h->status);
    int r = accept_for(key, accept);
    if (r < 0)
        return r;
    if (!http_head_has_token(h, "Connection", "upgrade") || !http_head_has_token(h, "Upgrade", "websocket") ||
        count(h, "Sec-WebSocket-Accept") != 1 || !str_equal(http_head_get(h, "Sec-WebSocket-Accept"), accept))
        return error_set(err, EPROTO, "ws.bad-upgrade",
                         "the server's answer to the WebSocket upgrade is wrong: is a proxy in between?");
    const char *chosen = http_head_get(h, "Sec-WebSocket-Protocol");
    if (!str_equal(chosen, protocol) || count(h, "Sec-WebSocket-Protocol") > 1)
        return error_set(err, EPROTO, "ws.bad-upgrade", "the server chose the WebSocket protocol %s, not %s",
                         chosen ? chosen : "(none)", protocol ? protocol : "(none)");
    if (http_head_get(h, "Sec-WebSocket-Extensions"))
        return error_set(err, EPROTO, "ws.bad-upgrade", "the server uses a WebSocket extension that nobody offered");
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "lib/net/proxy-env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/net/host-port.h"

/* curl's */
#define PORT_USUAL 1080
#define SEPARATORS " ,\t"
#define SCHEME "http://"

void proxy_env_done(ProxyEnv *p)
{
    free(p->host);
    if (p->login)
        explicit_bzero(p->login, strlen(p->login));
    free(p->login);
    *p = (ProxyEnv) {};
}

/* The first that is there and not empty; `ret_name` is its name. */
static const char *first_of(const char *const *names, const char **ret_name)
{
    for (; *names; names++) {
        const char *value = getenv(*names);

        *ret_name = *names;
        if (!str_empty(value))
            return value;
    }
    return NULL;
}

/* Whether the first `bits` of both are the same. */
static bool shares_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

/* "192.0.2.0/24", or an address alone. */
static bool is_in_network(const char *host, const char *entry)
{
    _cleanup_(freep) char *address = strndup(entry, strcspn(entry, "/"));
    const char *slash = strchr(entry, '/');
    uint8_t a[sizeof(struct in6_addr)], b[sizeof(struct in6_addr)];

    for (int family = AF_INET; address; family = AF_INET6) {
        unsigned most = family == AF_INET ? 32 : 128;
        uint64_t bits = most;

        if (inet_pton(family, host, a) == 1 && inet_pton(family, address, b) == 1)
            return (!slash || str_to_u64(slash + 1, 0, most, &bits) == 0) && shares_prefix(a, b, (unsigned) bits);
        if (family == AF_INET6)
            break;
    }
    return false;
}

/* "example.com" and ".example.com" are that name and all below it. */
static bool is_below(const char *host, const char *entry)
{
    size_t len, host_len = strlen(host);

    entry += *entry == '.';
    len = strlen(entry);
    if (len == 0 || host_len < len || strcasecmp(host + host_len - len, entry) != 0)
        return false;
    return host_len == len || host[host_len - len - 1] == '.';
}

static bool is_excepted(const char *host)
{
    static const char *const names[] = { "no_proxy", "NO_PROXY", NULL };
    const char *name, *list = first_of(names, &name);

    for (size_t len; list && *list; list += len) {
        list += strspn(list, SEPARATORS);
        len = strcspn(list, SEPARATORS);
        _cleanup_(freep) char *entry = strndup(list, len);

        if (entry && *entry && (str_equal(entry, "*") || is_below(host, entry) || is_in_network(host, entry)))
            return true;
    }
    return false;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int) (at - digits) : -1;
}

/* %40 becomes @, within the string. */
static void percent_decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1, low = high >= 0 ? hex_digit(from[2]) : -1;

        *to++ = low >= 0 ? (char) (high * 16 + low) : *from;
        from += low >= 0 ? 2 : 0;
    }
    *to = '\0';
}

static int parse(const char *text, ProxyEnv *ret)
{
    if (strncasecmp(text, SCHEME, strlen(SCHEME)) == 0)
        text += strlen(SCHEME);
    else if (strstr(text, "://"))
        return -EPROTONOSUPPORT;
    _cleanup_(freep) char *authority = strndup(text, strcspn(text, "/?#"));
    char *at = authority ? strrchr(authority, '@') : NULL;
    const char *place = at ? at + 1 : authority;

    if (!authority)
        return -ENOMEM;
    if (at) {
        *at = '\0';
        bool has_password = strchr(authority, ':');
        percent_decode(authority);
        ret->login = str_format("%s%s", authority, has_password ? "" : ":");
        explicit_bzero(authority, (size_t) (at - authority));
        if (!ret->login)
            return -ENOMEM;
    }
    if (host_port_split(place, &ret->host, &ret->port) >= 0)
        return ret->port > 0 && *ret->host ? 0 : -EINVAL;
    bool bracketed = *place == '[' && str_ends(place, "]");
    ret->host = bracketed ? strndup(place + 1, strlen(place) - 2) : strdup(place);
    ret->port = PORT_USUAL;
    return !ret->host ? -ENOMEM : *ret->host && (bracketed || !strchr(ret->host, ':')) ? 0 : -EINVAL;
}

int proxy_env_find(const char *host, bool tls, ProxyEnv *ret, Error *err)
{
    static const char *const for_tls[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL };
    /* HTTP_PROXY in capitals is what a web server makes of a request's header "Proxy" */
    static const char *const for_plain[] = { "http_proxy", "all_proxy", "ALL_PROXY", NULL };
    const char *name, *value = first_of(tls ? for_tls : for_plain, &name);

    *ret = (ProxyEnv) {};
    if (!value || is_excepted(host))
        return 0;
    int r = parse(value, ret);
    if (r >= 0)
        return 0;
    proxy_env_done(ret);
    if (r == -ENOMEM)
        return error_from_errno(err, r, "read %s", name);
    return error_set(err, -r, "proxy.bad-url",
                     "%s names no HTTP proxy: it has the form http://[USER:PASSWORD@]HOST[:PORT]", name);
}

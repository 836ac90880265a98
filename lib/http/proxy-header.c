/* SPDX-License-Identifier: MIT */
/* The PROXY protocol as haproxy's proxy-protocol.txt has it: TCP over IPv4 and IPv6; of other families only that they end. */
#include "lib/http/proxy-header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/strv.h"

#define V1_START "PROXY "
#define V1_MAX 107 /* with its CR LF, and without a NUL */
#define V1_MIN 15  /* "PROXY UNKNOWN\r\n" */
#define V2_HEAD 16
#define V2_VERSION 0x20
#define V2_TCP4 0x11
#define V2_TCP6 0x21

static const uint8_t v2_signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

typedef struct Network {
    struct in6_addr base; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
} Network;

struct ProxyList {
    size_t n;
    Network networks[];
};

static void map_v4(const void *four, struct in6_addr *ret)
{
    *ret = (struct in6_addr) { .s6_addr = { [10] = 0xff, [11] = 0xff } };
    memcpy(ret->s6_addr + 12, four, 4);
}

/* *ret_v4: how many of the 128 bits stand before those that a user counts. */
static int parse_address(const char *text, struct in6_addr *ret, unsigned *ret_before)
{
    struct in_addr four;
    *ret_before = 0;
    if (inet_pton(AF_INET6, text, ret) == 1)
        return 0;
    if (inet_pton(AF_INET, text, &four) != 1)
        return -EINVAL;
    map_v4(&four, ret);
    *ret_before = 96;
    return 0;
}

static int parse_network(const char *text, Network *ret, Error *err)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t) (slash - text) : strlen(text);
    unsigned before = 0;
    uint64_t bits = 0;
    int r = len < sizeof address ? 0 : -EINVAL;
    if (r == 0) {
        memcpy(address, text, len);
        address[len] = '\0';
        r = parse_address(address, &ret->base, &before);
    }
    bits = 128 - before;
    if (r == 0 && slash)
        r = str_to_u64(slash + 1, 0, 128 - before, &bits);
    if (r < 0)
        return error_set(err, EINVAL, "config.proxies", "%s is no address and no network, like 127.0.0.1 or 10.0.0.0/8",
                         text);
    ret->bits = before + (unsigned) bits;
    return 0;
}

int proxy_list_new(const char *text, ProxyList **ret, Error *err)
{
    _cleanup_(strv_freep) char **words = NULL;
    for (const char *p = text ? text : ""; *p; p += strspn(p, ", ")) {
        size_t len = strcspn(p, ", ");
        if (len > 0 && strv_take(&words, strndup(p, len)) < 0)
            return error_from_errno(err, -ENOMEM, "reading the list of proxies");
        p += len;
    }
    size_t n = strv_length(words);
    _cleanup_(proxy_list_freep) ProxyList *l = calloc(1, sizeof *l + n * sizeof l->networks[0]);
    if (!l)
        return error_from_errno(err, -ENOMEM, "reading the list of proxies");
    for (; l->n < n; l->n++) {
        int r = parse_network(words[l->n], &l->networks[l->n], err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(l);
    return 0;
}

ProxyList *proxy_list_free(ProxyList *l)
{
    free(l);
    return NULL;
}

static bool network_has(const Network *n, const struct in6_addr *a)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->base.s6_addr, a->s6_addr, whole) != 0)
        return false;
    return rest == 0 || ((n->base.s6_addr[whole] ^ a->s6_addr[whole]) >> (8 - rest)) == 0;
}

static bool list_has(const ProxyList *l, const struct in6_addr *a)
{
    for (size_t i = 0; l && i < l->n; i++)
        if (network_has(&l->networks[i], a))
            return true;
    return false;
}

bool proxy_list_has(const ProxyList *l, const struct sockaddr *address)
{
    struct in6_addr a;
    if (address->sa_family == AF_INET)
        map_v4(&((const struct sockaddr_in *) address)->sin_addr, &a);
    else if (address->sa_family == AF_INET6)
        a = ((const struct sockaddr_in6 *) address)->sin6_addr;
    else
        return false;
    return list_has(l, &a);
}

/* "192.0.2.1:443" and "[::1]:443" without brackets and port, which may both be missing. */
static int bare_address(const char *text, size_t len, char ret[static INET6_ADDRSTRLEN])
{
    const char *colon = memchr(text, ':', len);
    const char *end = text + len;
    if (len > 0 && *text == '[') {
        end = memchr(text, ']', len);
        text++;
    } else if (colon && !memchr(colon + 1, ':', (size_t) (end - colon) - 1)) {
        end = colon;
    }
    if (!end || end <= text || end - text >= INET6_ADDRSTRLEN)
        return -EINVAL;
    memcpy(ret, text, (size_t) (end - text));
    ret[end - text] = '\0';
    return 0;
}

bool proxy_list_has_text(const ProxyList *l, const char *address)
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr a;
    unsigned before;
    return bare_address(address, strlen(address), bare) == 0 && parse_address(bare, &a, &before) == 0 &&
           list_has(l, &a);
}

void caller_network(const char *address, uint8_t ret[16])
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr a;
    unsigned before;
    memset(ret, 0, 16);
    if (bare_address(address, strlen(address), bare) < 0 || parse_address(bare, &a, &before) < 0)
        return;
    memcpy(ret, &a, IN6_IS_ADDR_V4MAPPED(&a) ? 16 : 8);
}

char *proxy_forwarded_peer(const ProxyList *proxies, const char *header)
{
    char bare[INET6_ADDRSTRLEN];
    size_t end = header ? strlen(header) : 0;
    while (end > 0) {
        size_t start = end;
        while (start > 0 && header[start - 1] != ',')
            start--;
        const char *word = header + start;
        size_t len = end - start;
        for (; len > 0 && (*word == ' ' || *word == '\t'); len--)
            word++;
        while (len > 0 && (word[len - 1] == ' ' || word[len - 1] == '\t'))
            len--;
        struct in6_addr a;
        unsigned before;
        /* nothing can be believed that stands before something that is not an address */
        if (bare_address(word, len, bare) < 0 || parse_address(bare, &a, &before) < 0)
            return NULL;
        if (!list_has(proxies, &a))
            return strdup(bare);
        end = start > 0 ? start - 1 : 0;
    }
    return NULL;
}

static int bad(Error *err, const char *what)
{
    return error_set(err, EBADMSG, "proxy.bad-header", "a proxy's PROXY header is broken: %s", what);
}

static char *peer_text(int family, const void *address, unsigned port)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(family, address, text, sizeof text))
        return NULL;
    return str_format(family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port);
}

/* "TCP4 SOURCE DESTINATION PORT PORT" */
static int parse_v1(const char *line, char **ret_peer, Error *err)
{
    _cleanup_(strv_freep) char **words = NULL;
    uint8_t source[sizeof(struct in6_addr)], destination[sizeof(struct in6_addr)];
    uint64_t port, other;
    *ret_peer = NULL;
    if (str_equal(line, "UNKNOWN") || str_starts(line, "UNKNOWN "))
        return 0;
    for (const char *p = line; *p;) {
        size_t len = strcspn(p, " ");
        if (strv_take(&words, strndup(p, len)) < 0)
            return -ENOMEM;
        p += len;
        p += *p == ' ';
    }
    if (strv_length(words) != 5)
        return bad(err, "it has not the five fields of version 1");
    int family = str_equal(words[0], "TCP4") ? AF_INET : str_equal(words[0], "TCP6") ? AF_INET6 : AF_UNSPEC;
    if (family == AF_UNSPEC || inet_pton(family, words[1], source) != 1 ||
        inet_pton(family, words[2], destination) != 1 || str_to_u64(words[3], 0, UINT16_MAX, &port) < 0 ||
        str_to_u64(words[4], 0, UINT16_MAX, &other) < 0)
        return bad(err, "its addresses or ports are none");
    *ret_peer = peer_text(family, source, (unsigned) port);
    return *ret_peer ? 0 : -ENOMEM;
}

static int read_v1(const uint8_t *data, size_t len, char **ret_peer, Error *err)
{
    char line[V1_MAX + 1];
    if (len > V1_MAX)
        return bad(err, "its line has no end");
    for (size_t i = 0; i < len; i++)
        if (data[i] != '\r' && data[i] != '\n' && (data[i] < ' ' || data[i] > '~'))
            return bad(err, "its line holds bytes that are no text");
    const uint8_t *cr = memchr(data, '\r', len);
    if (memchr(data, '\n', len) && (!cr || data[len - 1] != '\n' || cr != data + len - 2))
        return bad(err, "its line does not end with CR and LF");
    if (len < V1_MIN)
        return cr && cr - data < V1_MIN - 2 ? bad(err, "its line is too short") : (int) (V1_MIN - len);
    if (!cr)
        return len + 2 > V1_MAX ? bad(err, "its line has no end") : 2;
    if (cr == data + len - 1)
        return 1;
    if (data[len - 1] != '\n')
        return bad(err, "its line does not end with CR and LF");
    size_t start = sizeof V1_START - 1;
    memcpy(line, data + start, len - 2 - start);
    line[len - 2 - start] = '\0';
    return parse_v1(line, ret_peer, err);
}

static int read_v2(const uint8_t *data, size_t len, char **ret_peer, Error *err)
{
    if (len < V2_HEAD)
        return (int) (V2_HEAD - len);
    size_t body = (size_t) data[14] << 8 | data[15];
    unsigned command = data[12] & 0x0f;
    if ((data[12] & 0xf0) != V2_VERSION || command > 1)
        return bad(err, "its version or command is not known");
    if (body > PROXY_HEADER_MAX - V2_HEAD)
        return bad(err, "it is too long");
    if (len > V2_HEAD + body)
        return bad(err, "more was read than belongs to it");
    if (len < V2_HEAD + body)
        return (int) (V2_HEAD + body - len);
    *ret_peer = NULL;
    if (command == 0 || (data[13] != V2_TCP4 && data[13] != V2_TCP6))
        return 0;
    bool six = data[13] == V2_TCP6;
    size_t size = six ? 16 : 4;
    const uint8_t *at = data + V2_HEAD;
    if (body < 2 * size + 4)
        return bad(err, "its addresses are missing");
    *ret_peer = peer_text(six ? AF_INET6 : AF_INET, at, (unsigned) at[2 * size] << 8 | at[2 * size + 1]);
    return *ret_peer ? 0 : -ENOMEM;
}

int proxy_header_read(const uint8_t *data, size_t len, char **ret_peer, Error *err)
{
    size_t v1 = sizeof V1_START - 1, v2 = sizeof v2_signature;
    if (len == 0)
        return V1_MIN;
    if (memcmp(data, V1_START, len < v1 ? len : v1) == 0)
        return read_v1(data, len, ret_peer, err);
    if (memcmp(data, v2_signature, len < v2 ? len : v2) == 0)
        return read_v2(data, len, ret_peer, err);
    return bad(err, "it does not begin like one; is the PROXY protocol switched on in the proxy?");
}

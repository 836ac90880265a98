/* SPDX-License-Identifier: MIT */
/* From a host name to a connected socket without blocking: numeric addresses at once, names through a child that asks
 * the system's resolver (nsswitch and all), then one address after the other, until TLS is up with one of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "lib/base/strv.h"
#include "lib/net/address-memory.h"
#include "lib/net/stream-impl.h"

#define HOST_MAX 253
#define SMALL_SEGMENT 1160 /* goes through every tunnel in which IPv6 does */
const char *stream_resolver = "/usr/bin/getent";

struct StreamDial {
    Process *resolver;
    char *host;   /* that is resolved and connected to: the proxy, if there is one */
    char *target; /* that TLS is spoken with */
    ProxyCall *proxy;
    StreamAddress addresses[STREAM_ADDRESSES_MAX];
    size_t n_addresses;
    char **known; /* tried behind what the resolver says; owned */
    uint16_t port;
    bool connecting;
    bool timed_out;
    int last; /* why the last address did not do; negative errno */
    char *last_address;
    int handshake_code;
    Error handshake; /* why TLS failed with an address that took the connection; says more than what others lack */
};

StreamDial *stream_dial_free(StreamDial *d)
{
    if (!d)
        return NULL;
    process_free(d->resolver);
    free(d->host);
    free(d->target);
    proxy_call_free(d->proxy);
    strv_free(d->known);
    free(d->last_address);
    error_done(&d->handshake);
    free(d);
    return NULL;
}

char *stream_address_format(const struct sockaddr *addr)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) addr;
        (void) inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        return str_format("%s:%u", text, ntohs(in->sin_port));
    }
    if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) addr;
        (void) inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            return str_format("%s:%u", text + strlen("::ffff:"), ntohs(in6->sin6_port));
        return str_format("[%s]:%u", text, ntohs(in6->sin6_port));
    }
    return strdup("local");
}

static bool host_is_plausible(const char *host)
{
    size_t len = strlen(host);
    if (len == 0 || len > HOST_MAX || host[0] == '-')
        return false;
    for (const char *p = host; *p; p++)
        if (!((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || strchr(".-_:%", *p)))
            return false;
    return true;
}

static bool is_listed(const StreamDial *d, const StreamAddress *a)
{
    for (size_t i = 0; i < d->n_addresses; i++)
        if (d->addresses[i].len == a->len && memcmp(&d->addresses[i].addr, &a->addr, a->len) == 0)
            return true;
    return false;
}

/* Numeric only: getaddrinfo() does not ask anybody then. */
static int add_address(StreamDial *d, const char *text)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (getaddrinfo(text, NULL, &hints, &found) != 0 || !found)
        return -EINVAL;
    int r = -EINVAL;
    if (d->n_addresses < STREAM_ADDRESSES_MAX && found->ai_addrlen <= sizeof(struct sockaddr_storage)) {
        StreamAddress *a = &d->addresses[d->n_addresses];
        memcpy(&a->addr, found->ai_addr, found->ai_addrlen);
        a->len = found->ai_addrlen;
        if (found->ai_family == AF_INET)
            ((struct sockaddr_in *) &a->addr)->sin_port = htons(d->port);
        else
            ((struct sockaddr_in6 *) &a->addr)->sin6_port = htons(d->port);
        d->n_addresses += !is_listed(d, a);
        r = 0;
    }
    freeaddrinfo(found);
    return r;
}

/* "192.0.2.1      STREAM name": other socket types repeat the same addresses. */
static void on_resolver_line(Process *p _unused_, ProcessStream stream, const char *line, void *userdata)
{
    Stream *s = userdata;
    const char *end = line + strcspn(line, " \t");
    const char *type = end + strspn(end, " \t");
    char address[INET6_ADDRSTRLEN + 32];
    size_t len = (size_t) (end - line);
    if (stream != PROCESS_STDOUT || !str_starts(type, "STREAM") || len == 0 || len >= sizeof address)
        return;
    memcpy(address, line, len);
    address[len] = '\0';
    (void) add_address(s->dial, address);
}

static void resolve_failed(Stream *s, int status, bool timed_out)
{
    if (timed_out)
        error_set(&s->err, ETIMEDOUT, "stream.resolve",
                  "the address of %s could not be found: the name servers did not answer within 10 s; check DNS and "
                  "the uplink",
                  s->dial->host);
    else
        error_set(&s->err, EHOSTUNREACH, "stream.resolve",
                  "the address of %s could not be found (%s): check the name, DNS and the uplink", s->dial->host,
                  WIFEXITED(status) && WEXITSTATUS(status) == 2 ? "unknown name" : "the resolver failed");
    stream_fail(s, timed_out ? -ETIMEDOUT : -EHOSTUNREACH);
}

static void dial_failed(Stream *s)
{
    StreamDial *d = s->dial;
    int code = d->last < 0 ? -d->last : EHOSTUNREACH;
    if (d->handshake.id) {
        (void) error_copy(&s->err, &d->handshake);
        stream_fail(s, d->handshake_code);
        return;
    }
    error_set(&s->err, code, "stream.connect", "cannot connect to %s (tried %zu address%s, last %s): %s; %s", s->name,
              d->n_addresses, d->n_addresses == 1 ? "" : "es", d->last_address ? d->last_address : "none",
              code == ETIMEDOUT ? "no answer within 5 s" : strerror(code),
              code == ECONNREFUSED ? "nothing listens there: check that the server runs, and the port"
                                   : "check the uplink, and firewalls on the way");
    stream_fail(s, -code);
}

static int on_connect_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Stream *s = userdata;
    s->dial->timed_out = true;
    lifetime_hold(&s->life);
    stream_dial_ready(s);
    stream_release(s);
    return 0;
}

/* Both sides keep to what is said before the connection. Without it large segments are as good as before. */
static void keep_segments_small(int fd)
{
    int bytes = SMALL_SEGMENT;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &bytes, sizeof bytes);
}

/* 0: under way or connected; negative: this address will not do. */
static int try_address(Stream *s, const StreamAddress *a)
{
    StreamDial *d = s->dial;
    free(d->last_address);
    d->last_address = stream_address_format((const struct sockaddr *) &a->addr);
    free(TAKE_PTR(s->peer));
    s->state = STREAM_DIALING;
    int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = stream_set_socket(s, fd);
    if (r < 0)
        return r;
    if (address_is_narrow(d->last_address))
        keep_segments_small(fd);
    if (connect(fd, (const struct sockaddr *) &a->addr, a->len) < 0 && errno != EINPROGRESS)
        return -errno;
    r = timer_arm(s->event, &s->timer, STREAM_CONNECT_TIMEOUT, on_connect_deadline, s);
    d->connecting = r >= 0;
    return r;
}

/* Of those that were not tried yet: the first with nothing against it, else the one whose failure is the longest ago. */
static StreamAddress *best_address(StreamDial *d)
{
    StreamAddress *best = NULL;
    unsigned best_rank = 0;
    for (size_t i = 0; i < d->n_addresses; i++) {
        if (d->addresses[i].tried)
            continue;
        _cleanup_(freep) char *text = stream_address_format((const struct sockaddr *) &d->addresses[i].addr);
        unsigned rank = address_rank(text);
        if (!best || rank < best_rank) {
            best = &d->addresses[i];
            best_rank = rank;
        }
    }
    return best;
}

static void dial_next(Stream *s)
{
    StreamDial *d = s->dial;
    StreamAddress *a;
    d->connecting = false;
    while ((a = best_address(d))) {
        a->tried = true;
        d->last = try_address(s, a);
        if (d->last >= 0)
            return;
    }
    if (!d->resolver) {
        dial_failed(s);
        return;
    }
    /* The known addresses did not do; the resolver, which is late, may still have others. */
    s->io = sd_event_source_disable_unref(s->io);
    timer_disarm(s->timer);
}

/* From now on the known addresses are as good as the resolver's. */
static void use_known(StreamDial *d)
{
    for (char **known = d->known; known && *known; known++)
        (void) add_address(d, *known);
    d->known = strv_free(d->known);
}

static int on_head_start_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Stream *s = userdata;
    use_known(s->dial);
    lifetime_hold(&s->life);
    if (s->dial->n_addresses > 0)
        dial_next(s);
    stream_release(s);
    return 0;
}

static int on_proxy_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Stream *s = userdata;
    error_set(&s->err, ETIMEDOUT, "stream.timeout", "the proxy %s did not answer within 10 s", s->dial->host);
    lifetime_hold(&s->life);
    if (!stream_dial_again(s, -ETIMEDOUT))
        stream_fail(s, -ETIMEDOUT);
    stream_release(s);
    return 0;
}

/* The address leads to the target: TLS is next, or nothing. */
static void reached(Stream *s)
{
    free(TAKE_PTR(s->peer));
    int r = stream_socket_connected(s);
    if (r < 0) {
        s->dial->last = r;
        dial_next(s);
        return;
    }
    if (s->state == STREAM_OPEN)
        stream_opened(s);
    else if (s->dial && s->dial->proxy) /* the socket was for the proxy's answer */
        (void) sd_event_source_set_io_events(s->io, EPOLLOUT);
}

static void talk_to_proxy(Stream *s)
{
    bool wants_write = false;
    int r = proxy_call_round(s->dial->proxy, s->fd, &wants_write, &s->err);
    if (r == -EAGAIN) {
        (void) sd_event_source_set_io_events(s->io, wants_write ? EPOLLOUT : EPOLLIN);
    } else if (r < 0) {
        if (!stream_dial_again(s, r))
            stream_fail(s, r);
    } else {
        s->timer = sd_event_source_disable_unref(s->timer);
        reached(s);
    }
}

static void dial_connected(Stream *s)
{
    s->timer = sd_event_source_disable_unref(s->timer);
    if (!s->dial->proxy) {
        reached(s);
        return;
    }
    s->state = STREAM_PROXY;
    s->dial->connecting = false;
    free(s->peer);
    s->peer = strdup(s->dial->last_address ? s->dial->last_address : "");
    proxy_call_restart(s->dial->proxy);
    int r = timer_arm(s->event, &s->timer, STREAM_PROXY_TIMEOUT, on_proxy_deadline, s);
    if (r < 0 || !s->peer) {
        stream_fail(s, r < 0 ? r : -ENOMEM);
        return;
    }
    talk_to_proxy(s);
}

bool stream_dial_again(Stream *s, int r)
{
    StreamDial *d = s->dial;
    if (!d)
        return false;
    address_note(s->peer, false);
    if (r == -ETIMEDOUT)
        address_note_silence(s->peer);
    if (!best_address(d) || (s->tls && stream_tls_restart(s, d->target) < 0))
        return false;
    if (!d->handshake.id && error_copy(&d->handshake, &s->err) >= 0)
        d->handshake_code = r;
    error_done(&s->err);
    s->timer = sd_event_source_disable_unref(s->timer);
    dial_next(s);
    return true;
}

void stream_dial_ready(Stream *s)
{
    StreamDial *d = s->dial;
    int code = 0;
    socklen_t len = sizeof code;
    if (s->state == STREAM_PROXY) {
        talk_to_proxy(s);
        return;
    }
    if (!d->connecting) {
        dial_next(s);
        return;
    }
    if (d->timed_out)
        code = ETIMEDOUT;
    else if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    d->timed_out = false;
    if (code == 0) {
        dial_connected(s);
        return;
    }
    d->last = -code;
    dial_next(s);
}

static void on_resolved(Process *p _unused_, int status, bool timed_out, void *userdata)
{
    Stream *s = userdata;
    StreamDial *d = s->dial;
    d->resolver = process_free(d->resolver);
    use_known(d);
    lifetime_hold(&s->life);
    if (d->n_addresses == 0)
        resolve_failed(s, status, timed_out);
    else if (!d->connecting)
        dial_next(s);
    stream_release(s);
}

static int resolve(Stream *s, bool known_only, Error *err)
{
    StreamDial *d = s->dial;
    if (add_address(d, d->host) >= 0)
        return stream_wake(s);
    if (known_only && d->known) {
        use_known(d);
        return stream_wake(s);
    }
    const char *argv[] = { stream_resolver, "ahosts", d->host, NULL };
    ProcessSpec spec = {
        .argv = argv,
        .timeout_usec = STREAM_RESOLVE_TIMEOUT,
        .kill_after_usec = USEC_PER_SEC,
        .keep_with_parent = true,
    };
    int r = process_spawn(s->event, &spec, on_resolver_line, on_resolved, s, &d->resolver, err);
    if (!d->known)
        return r;
    if (r >= 0)
        return timer_arm(s->event, &s->timer, STREAM_RESOLVE_HEAD_START, on_head_start_over, s);
    error_done(err);
    use_known(d);
    return stream_wake(s);
}

int stream_connect(sd_event *event, const StreamTarget *target, const StreamEvents *events, void *userdata,
                   Stream **ret, Error *err)
{
    const char *host = target->host, *dialed = target->proxy_host ? target->proxy_host : host;
    uint16_t port = target->port, dialed_port = target->proxy_host ? target->proxy_port : port;
    if (!host_is_plausible(host) || port == 0)
        return error_set(err, EINVAL, "stream.resolve", "\"%s\" port %u cannot be the address of a server", host, port);
    if (!host_is_plausible(dialed) || dialed_port == 0)
        return error_set(err, EINVAL, "stream.resolve", "\"%s\" port %u cannot be the address of a proxy", dialed,
                         dialed_port);
    _cleanup_(stream_freep) Stream *s = stream_new(event, events, userdata);
    if (!s)
        return -ENOMEM;
    s->state = STREAM_DIALING;
    s->name = strchr(host, ':') ? str_format("[%s]:%u", host, port) : str_format("%s:%u", host, port);
    s->dial = calloc(1, sizeof *s->dial);
    if (!s->name || !s->dial)
        return -ENOMEM;
    s->dial->port = dialed_port;
    s->dial->host = strdup(dialed);
    s->dial->target = strdup(host);
    if (!s->dial->host || !s->dial->target)
        return -ENOMEM;
    if (target->proxy_host) {
        s->dial->proxy = proxy_call_new(s->name, dialed, target->proxy_login);
        _cleanup_(freep) char *place = s->name;
        s->name = str_format("%s by the proxy %s:%u", place, dialed, dialed_port);
        if (!s->dial->proxy || !s->name)
            return -ENOMEM;
    }
    for (const char *const *known = target->proxy_host ? NULL : target->known; known && *known; known++)
        if (strv_add(&s->dial->known, *known) < 0)
            return -ENOMEM;
    int r = target->tls ? stream_tls_start(s, target->tls, host) : 0;
    if (r < 0)
        return error_set(err, -r, "stream.tls", "cannot set TLS up for %s", s->name);
    r = resolve(s, target->known_only, err);
    if (r < 0)
        return error_prefix(err, r, "cannot find the address of %s", dialed);
    *ret = TAKE_PTR(s);
    return 0;
}

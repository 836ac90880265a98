/* SPDX-License-Identifier: MIT */
/* The life of one stream on the loop: reading, the send queue, ending, failing, and being freed inside a callback. */
#include <errno.h>
#include <linux/sockios.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/base/strv.h"
#include "lib/net/stream-impl.h"

/* Reads per wake-up, so that one fast peer does not starve the others. */
#define READS_PER_ROUND 8

Stream *stream_new(sd_event *event, const StreamEvents *events, void *userdata)
{
    Stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->event = sd_event_ref(event);
    s->events = events;
    s->userdata = userdata;
    s->fd = -1;
    stream_set_queue_max(s, STREAM_QUEUE_DEFAULT);
    return s;
}

static void sources_drop(Stream *s)
{
    s->io = sd_event_source_disable_unref(s->io);
    s->timer = sd_event_source_disable_unref(s->timer);
    s->wake = sd_event_source_disable_unref(s->wake);
}

static void stream_close_socket(Stream *s)
{
    sources_drop(s);
    s->dial = stream_dial_free(s->dial);
    stream_tls_free(s);
    if (s->fd >= 0)
        close(TAKE_FD(s->fd));
    buf_done(&s->out);
    s->out_start = 0;
}

static void stream_destroy(Stream *s)
{
    sd_event_unref(s->event);
    error_done(&s->err);
    free(s->name);
    free(s->peer);
    free(s);
}

Stream *stream_free(Stream *s)
{
    if (!s || !lifetime_end(&s->life))
        return NULL;
    s->state = STREAM_CLOSED;
    stream_close_socket(s);
    stream_release(s);
    return NULL;
}

void stream_release(Stream *s)
{
    if (lifetime_release(&s->life))
        stream_destroy(s);
}

/* The peer ending it and the path to the peer being lost are different things when deciding when to come back. */
int stream_broke(Stream *s, int code)
{
    const char *id = code == ETIMEDOUT                                                 ? "stream.timeout"
                     : code == ENETUNREACH || code == EHOSTUNREACH || code == ENETDOWN ? "stream.unreachable"
                                                                                       : "stream.closed";
    return error_set(&s->err, code, id, "the connection with %s broke: %s", s->name, strerror(code));
}

void stream_fail(Stream *s, int r)
{
    if (s->state == STREAM_CLOSED)
        return;
    s->state = STREAM_CLOSED;
    stream_close_socket(s);
    if (r < 0)
        (void) stream_broke(s, -r);
    lifetime_hold(&s->life);
    s->events->on_closed(s, r, r < 0 ? &s->err : NULL, s->userdata);
    stream_release(s);
}

size_t stream_queued(const Stream *s)
{
    return s->out.len - s->out_start;
}

/* Follows what the stream waits for now. */
void stream_watch(Stream *s)
{
    uint32_t events = 0;
    if (!s->io || s->state == STREAM_DIALING || s->state == STREAM_PROXY || s->state == STREAM_HANDSHAKE)
        return;
    if ((!s->paused && !s->peer_ended) || s->state == STREAM_ENDED)
        events |= EPOLLIN;
    if (stream_queued(s) > 0 || s->read_wants_write || (s->want_write && s->state == STREAM_OPEN && !s->finishing))
        events |= EPOLLOUT;
    (void) sd_event_source_set_io_events(s->io, events);
    /* Once both directions have ended epoll says so without being asked, over and over, while nobody reads what is there yet. */
    (void) sd_event_source_set_enabled(s->io, s->finished && !events ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int write_some(Stream *s, const void *data, size_t len, size_t *ret)
{
    ssize_t n;
    if (s->tls) {
        n = stream_tls_write(s, data, len);
    } else {
        n = send(s->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            n = errno == EINTR ? -EAGAIN : -errno;
    }
    if (n < 0)
        return (int) n;
    *ret = (size_t) n;
    return 0;
}

static int queue_flush(Stream *s)
{
    int r = 0;
    while (stream_queued(s) > 0) {
        size_t n = 0;
        r = write_some(s, s->out.data + s->out_start, stream_queued(s), &n);
        if (r < 0)
            break;
        s->out_start += n;
    }
    if (stream_queued(s) == 0) {
        if (s->bulk && s->out.cap <= STREAM_BULK_SIZE)
            s->out.len = 0;
        else
            buf_done(&s->out);
        s->out_start = 0;
    } else if (s->out_start > stream_queued(s)) {
        buf_consume(&s->out, s->out_start);
        s->out_start = 0;
    }
    return r == -EAGAIN ? 0 : r;
}

int stream_reserve(Stream *s, size_t len, uint8_t **ret)
{
    if (s->state != STREAM_OPEN || s->failed < 0 || s->finishing)
        return -ENOTCONN;
    if (len > s->out_max || stream_queued(s) > s->out_max - len)
        return -ENOBUFS;
    int r = buf_reserve(&s->out, len);
    if (r < 0)
        return r == -EMSGSIZE ? -ENOBUFS : r;
    *ret = (uint8_t *) s->out.data + s->out.len;
    return 0;
}

int stream_commit(Stream *s, size_t len)
{
    bool blocked = stream_queued(s) > 0;
    s->out.len += len;
    s->out.data[s->out.len] = '\0';
    /* The loop goes on with it then, and says on_flushed. */
    if (blocked)
        return 0;
    int r = queue_flush(s);
    if (r < 0) {
        s->failed = r;
        return stream_wake(s);
    }
    stream_watch(s);
    return 0;
}

int stream_send(Stream *s, const void *data, size_t len)
{
    uint8_t *at;
    int r = stream_reserve(s, len, &at);
    if (r < 0)
        return r;
    if (len > 0)
        memcpy(at, data, len);
    return stream_commit(s, len);
}

void stream_want_write(Stream *s, bool want)
{
    if (s->want_write == want)
        return;
    s->want_write = want;
    stream_watch(s);
}

void stream_set_unsent_max(Stream *s, size_t bytes)
{
    int value = bytes > INT_MAX ? INT_MAX : (int) bytes;
    if (s->fd >= 0)
        (void) setsockopt(s->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof value);
}

size_t stream_unsent(const Stream *s)
{
    int value = 0;
    return s->fd >= 0 && ioctl(s->fd, SIOCOUTQNSD, &value) >= 0 && value > 0 ? (size_t) value : 0;
}

void stream_set_bulk(Stream *s, bool bulk)
{
    if (s->bulk == bulk)
        return;
    s->bulk = bulk;
    if (!bulk && stream_queued(s) == 0)
        buf_done(&s->out);
    stream_tls_set_bulk(s, bulk);
}

static int on_end_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Stream *s = userdata;
    error_set(&s->err, ETIMEDOUT, "stream.timeout", "%s did not end its side of the connection in time", s->name);
    stream_fail(s, -ETIMEDOUT);
    return 0;
}

/* Our direction is over once the queue is empty. */
static void end_if_flushed(Stream *s)
{
    if (s->state != STREAM_ENDING || stream_queued(s) > 0)
        return;
    s->state = STREAM_ENDED;
    stream_tls_shutdown(s);
    (void) shutdown(s->fd, SHUT_WR);
    s->read_wants_write = false;
    stream_watch(s);
}

void stream_end(Stream *s)
{
    if (s->state == STREAM_DIALING || s->state == STREAM_PROXY || s->state == STREAM_HANDSHAKE) {
        s->failed = -ECANCELED;
        (void) stream_wake(s);
        return;
    }
    if (s->state != STREAM_OPEN || s->failed < 0)
        return;
    s->state = STREAM_ENDING;
    int r = timer_arm(s->event, &s->timer, STREAM_END_TIMEOUT, on_end_deadline, s);
    if (r < 0) {
        s->failed = r;
        (void) stream_wake(s);
        return;
    }
    end_if_flushed(s);
}

/* Our direction is over once the queue is empty; where the peer has ended already, so is the stream. */
static void finish_if_flushed(Stream *s)
{
    if (!s->finishing || s->finished || stream_queued(s) > 0)
        return;
    s->finished = true;
    stream_tls_shutdown(s);
    (void) shutdown(s->fd, SHUT_WR);
    stream_watch(s);
    if (s->peer_ended)
        (void) stream_wake(s);
}

void stream_finish(Stream *s)
{
    if (s->state != STREAM_OPEN || s->failed < 0 || s->finishing)
        return;
    s->finishing = true;
    finish_if_flushed(s);
}

void stream_let_stall(Stream *s)
{
    int none = 0;
    if (s->fd >= 0)
        (void) setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &none, sizeof none);
}

static ssize_t read_some(Stream *s, uint8_t *data, size_t len)
{
    if (s->tls && s->state != STREAM_ENDED)
        return stream_tls_read(s, data, len);
    ssize_t n = recv(s->fd, data, len, MSG_DONTWAIT);
    return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

static bool can_read(const Stream *s)
{
    if (s->state == STREAM_OPEN)
        return !s->paused && !s->peer_ended;
    return s->state == STREAM_ENDED || (s->state == STREAM_ENDING && !s->paused);
}

/* The caller holds the stream. */
static void peer_ended(Stream *s)
{
    if (s->state != STREAM_OPEN || !s->events->on_end || s->finished) {
        stream_fail(s, 0);
        return;
    }
    s->peer_ended = true;
    s->events->on_end(s, s->userdata);
}

/* After less was read than there was room for: what comes later epoll tells about. */
static bool has_all(const Stream *s)
{
    return !s->tls || (stream_tls_reads_ahead(s) && !stream_tls_pending(s));
}

/* The caller holds the stream. */
static void read_round(Stream *s)
{
    uint8_t data[STREAM_READ_SIZE];
    for (int i = 0; i < READS_PER_ROUND && can_read(s); i++) {
        ssize_t n = read_some(s, data, sizeof data);
        if (n == -EAGAIN)
            return;
        if (n == 0)
            peer_ended(s);
        else if (n < 0)
            stream_fail(s, (int) n);
        if (n <= 0)
            return;
        if (s->state == STREAM_OPEN)
            s->events->on_data(s, data, (size_t) n, s->userdata);
        if (n < (ssize_t) sizeof data && has_all(s))
            return;
    }
    /* What OpenSSL holds already, epoll does not tell about. */
    if (can_read(s) && stream_tls_pending(s))
        (void) stream_wake(s);
}

static void flush_round(Stream *s)
{
    size_t before = stream_queued(s);
    if (before == 0)
        return;
    int r = queue_flush(s);
    if (r < 0) {
        stream_fail(s, r);
        return;
    }
    end_if_flushed(s);
    finish_if_flushed(s);
    if (s->state == STREAM_OPEN && stream_queued(s) < before && s->events->on_flushed)
        s->events->on_flushed(s, s->userdata);
}

static void writable_round(Stream *s)
{
    if (s->state == STREAM_OPEN && s->want_write && stream_queued(s) == 0 && s->events->on_writable)
        s->events->on_writable(s, s->userdata);
}

static int on_tls_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Stream *s = userdata;
    error_set(&s->err, ETIMEDOUT, "stream.timeout",
              "%s accepted the connection but did not finish the TLS handshake in time: is it a TLS port?", s->name);
    lifetime_hold(&s->life);
    if (!stream_dial_again(s, -ETIMEDOUT))
        stream_fail(s, -ETIMEDOUT);
    stream_release(s);
    return 0;
}

void stream_opened(Stream *s)
{
    s->state = STREAM_OPEN;
    s->dial = stream_dial_free(s->dial);
    s->timer = sd_event_source_disable_unref(s->timer);
    stream_watch(s);
    if (s->events->on_open)
        s->events->on_open(s, s->userdata);
    if (s->tls && can_read(s))
        read_round(s);
}

static void handshake_round(Stream *s)
{
    bool wants_write = false;
    int r = stream_tls_handshake(s, &wants_write);
    if (r == -EAGAIN)
        (void) sd_event_source_set_io_events(s->io, wants_write ? EPOLLOUT : EPOLLIN);
    else if (r == 0)
        stream_opened(s);
    else if (!stream_dial_again(s, r))
        stream_fail(s, r);
}

/* What reading would find out about, when nothing is read. A hang-up is also what two directions look like that have ended in
 * good order. */
static bool is_reset(const Stream *s, uint32_t revents)
{
    return (s->paused || s->peer_ended) && ((revents & EPOLLERR) || ((revents & EPOLLHUP) && !s->finished));
}

static int on_io(sd_event_source *source _unused_, int fd _unused_, uint32_t revents, void *userdata)
{
    Stream *s = userdata;
    lifetime_hold(&s->life);
    if (s->state == STREAM_DIALING || s->state == STREAM_PROXY)
        stream_dial_ready(s);
    else if (s->state == STREAM_HANDSHAKE)
        handshake_round(s);
    else {
        bool reads = (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) || s->read_wants_write;
        s->read_wants_write = false;
        if (revents & (EPOLLOUT | EPOLLIN))
            flush_round(s);
        if (revents & EPOLLOUT)
            writable_round(s);
        if (s->state != STREAM_CLOSED && is_reset(s, revents))
            stream_fail(s, -ECONNRESET);
        else if (reads)
            read_round(s);
    }
    if (s->state != STREAM_CLOSED)
        stream_watch(s);
    stream_release(s);
    return 0;
}

static int on_wake(sd_event_source *source _unused_, void *userdata)
{
    Stream *s = userdata;
    s->wake = sd_event_source_disable_unref(s->wake);
    lifetime_hold(&s->life);
    if (s->failed < 0)
        stream_fail(s, s->failed);
    else if (s->state == STREAM_OPEN && s->finished && s->peer_ended)
        stream_fail(s, 0);
    else if (s->state == STREAM_DIALING || s->state == STREAM_PROXY)
        stream_dial_ready(s);
    else if (s->state == STREAM_HANDSHAKE)
        handshake_round(s);
    else if (can_read(s))
        read_round(s);
    if (s->state != STREAM_CLOSED)
        stream_watch(s);
    stream_release(s);
    return 0;
}

int stream_wake(Stream *s)
{
    return s->wake ? 0 : sd_event_add_defer(s->event, &s->wake, on_wake, s);
}

static void socket_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },   { IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, 60 }, { IPPROTO_TCP, TCP_KEEPINTVL, 10 },       { IPPROTO_TCP, TCP_KEEPCNT, 3 },
    };
    for (size_t i = 0; i < ELEMENTSOF(options); i++)
        (void) setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

int stream_set_socket(Stream *s, int fd)
{
    s->io = sd_event_source_disable_unref(s->io);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    socket_options(fd);
    return sd_event_add_io(s->event, &s->io, fd, s->state == STREAM_DIALING ? EPOLLOUT : EPOLLIN, on_io, s);
}

int stream_socket_connected(Stream *s)
{
    struct sockaddr_storage addr = {};
    socklen_t len = sizeof addr;
    if (getpeername(s->fd, (struct sockaddr *) &addr, &len) < 0)
        return -errno;
    s->peer = stream_address_format((const struct sockaddr *) &addr);
    if (!s->name && s->peer)
        s->name = strdup(s->peer);
    if (!s->peer || !s->name)
        return -ENOMEM;
    if (!s->tls) {
        s->state = STREAM_OPEN;
        return 0;
    }
    s->state = STREAM_HANDSHAKE;
    int r = stream_tls_attach(s);
    if (r < 0)
        return r;
    return timer_arm(s->event, &s->timer, s->server ? STREAM_TLS_SERVER_TIMEOUT : STREAM_TLS_CLIENT_TIMEOUT,
                     on_tls_deadline, s);
}

int stream_accept(sd_event *event, int fd, Tls *tls, const StreamEvents *events, void *userdata, Stream **ret)
{
    _cleanup_(closep) int owned = fd;
    _cleanup_(stream_freep) Stream *s = stream_new(event, events, userdata);
    if (!s)
        return -ENOMEM;
    s->server = true;
    s->state = STREAM_OPEN;
    int r = tls ? stream_tls_start(s, tls, NULL) : 0;
    if (r >= 0)
        r = stream_set_socket(s, TAKE_FD(owned));
    if (r >= 0)
        r = stream_socket_connected(s);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

int stream_take_socket(Stream *s)
{
    int none = 0;
    if (s->state != STREAM_OPEN || s->tls)
        return -EINVAL;
    s->state = STREAM_CLOSED;
    sources_drop(s);
    (void) setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &none, sizeof none);
    return TAKE_FD(s->fd);
}

void stream_set_events(Stream *s, const StreamEvents *events, void *userdata)
{
    s->events = events;
    s->userdata = userdata;
}

void stream_set_queue_max(Stream *s, size_t max)
{
    s->out_max = max;
    /* Sent bytes stay in front until they outweigh the rest, hence twice. */
    s->out.max = 2 * max;
}

void stream_pause(Stream *s, bool paused)
{
    if (s->paused == paused)
        return;
    s->paused = paused;
    stream_watch(s);
    if (!paused && s->tls && s->state == STREAM_OPEN)
        (void) stream_wake(s);
}

sd_event *stream_event(const Stream *s)
{
    return s->event;
}

const char *stream_peer(const Stream *s)
{
    return s->peer ? s->peer : "";
}

int stream_set_peer(Stream *s, const char *peer)
{
    _cleanup_(freep) char *copy = strdup(peer), *name = strdup(peer);
    if (!copy || !name)
        return -ENOMEM;
    free(s->peer);
    free(s->name);
    s->peer = TAKE_PTR(copy);
    s->name = TAKE_PTR(name);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Copies between a stream and descriptors. What epoll refuses (a file, /dev/null) is always ready, and what is a pipe in
 * blocking mode, which others may share, is written in pieces that cannot block once it is writable. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/mux/pump.h"

/* Reads for one wake-up. */
#define READS_PER_ROUND 4
#define LOCAL_CLOSED "local.closed"

typedef struct PumpEnd {
    int fd;
    bool is_socket;
    bool may_block; /* neither a socket nor in non-blocking mode */
    bool is_over;   /* nothing more is read from it, or written to it */
} PumpEnd;

struct MuxPump {
    sd_event *event;
    sd_event_source *in_source, *out_source; /* one, in_source, when both are one descriptor */
    sd_event_source *done_source;
    MuxStream *stream; /* NULL = it has ended */
    MuxPumpOptions options;
    PumpEnd in, out;
    Buf waiting; /* from the stream, until the local side takes it */
    size_t waiting_from;
    uint64_t bytes_in, bytes_out;
    char *reason;  /* why it ended; owned */
    bool has_room; /* the stream takes more */
    bool peer_ended;
};

static int end_init(PumpEnd *e, int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &st) < 0)
        return -errno;
    *e = (PumpEnd) { .fd = fd, .is_socket = S_ISSOCK(st.st_mode) };
    e->may_block = !e->is_socket && !(flags & O_NONBLOCK);
    return 0;
}

static bool is_one(const MuxPump *p)
{
    return p->options.in == p->options.out;
}

static size_t waiting(const MuxPump *p)
{
    return p->waiting.len - p->waiting_from;
}

static void source_want(sd_event_source *source, uint32_t events)
{
    if (!source)
        return;
    /* Off when nothing is wanted: epoll tells about hang-ups however little it was asked for. Without events of its own
     * it is one that is always ready. */
    uint32_t present = 0;
    if (events && sd_event_source_get_io_events(source, &present) >= 0 && present != events)
        (void) sd_event_source_set_io_events(source, events);
    (void) sd_event_source_set_enabled(source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Follows what can be done now. */
static void pump_watch(MuxPump *p)
{
    uint32_t in = p->stream && p->has_room && !p->in.is_over ? EPOLLIN : 0;
    uint32_t out = waiting(p) > 0 && !p->out.is_over ? EPOLLOUT : 0;
    if (is_one(p)) {
        source_want(p->in_source, in | out);
        return;
    }
    source_want(p->in_source, in);
    source_want(p->out_source, out);
}

static int on_done(sd_event_source *source _unused_, void *userdata)
{
    MuxPump *p = userdata;
    p->done_source = sd_event_source_disable_unref(p->done_source);
    p->options.on_done(p, p->reason, p->options.userdata);
    return 0;
}

/* The end, told from the loop, once. */
static void pump_end(MuxPump *p, const char *reason)
{
    if (p->done_source)
        return;
    if (p->stream)
        mux_stream_reset(TAKE_PTR(p->stream), reason);
    p->reason = reason ? strdup(reason) : NULL;
    p->in.is_over = p->out.is_over = true;
    pump_watch(p);
    (void) sd_event_add_defer(p->event, &p->done_source, on_done, p);
}

static void end_if_complete(MuxPump *p)
{
    if (!p->stream && (waiting(p) == 0 || p->out.is_over))
        pump_end(p, p->reason);
}

/* The peer said all, and so did we to the local side. */
static void close_out(MuxPump *p)
{
    if (!p->peer_ended || waiting(p) > 0 || p->out.is_over)
        return;
    p->out.is_over = true;
    if (p->out.is_socket)
        (void) shutdown(p->out.fd, SHUT_WR);
    else if (!is_one(p)) {
        p->out_source = sd_event_source_disable_unref(p->out_source);
        close(TAKE_FD(p->out.fd));
    }
}

static bool is_writable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
    return poll(&poll_fd, 1, 0) == 1;
}

static ssize_t end_write(const PumpEnd *e, const uint8_t *data, size_t len)
{
    ssize_t n;
    if (e->is_socket) {
        n = send(e->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (e->may_block) {
        if (!is_writable(e->fd))
            return -EAGAIN;
        n = write(e->fd, data, len < PIPE_BUF ? len : PIPE_BUF);
    } else {
        n = write(e->fd, data, len);
    }
    return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

/* How much the local side took; negative when it is broken. */
static ssize_t write_some(MuxPump *p, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = end_write(&p->out, data + done, len - done);
        if (n == -EAGAIN)
            break;
        if (n < 0)
            return n;
        done += (size_t) n;
    }
    p->bytes_out += done;
    if (p->stream)
        mux_stream_consumed(p->stream, done);
    return (ssize_t) done;
}

static void on_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    MuxPump *p = userdata;
    ssize_t n = 0;
    if (p->out.is_over) {
        pump_end(p, LOCAL_CLOSED);
        return;
    }
    if (waiting(p) == 0)
        n = write_some(p, data, len);
    if (n >= 0 && (size_t) n < len && buf_append(&p->waiting, data + n, len - (size_t) n) < 0)
        n = -ENOMEM;
    if (n < 0)
        pump_end(p, LOCAL_CLOSED);
    else
        pump_watch(p);
}

static void flush(MuxPump *p)
{
    ssize_t n = write_some(p, (const uint8_t *) p->waiting.data + p->waiting_from, waiting(p));
    if (n < 0) {
        pump_end(p, LOCAL_CLOSED);
        return;
    }
    p->waiting_from += (size_t) n;
    if (waiting(p) == 0) {
        buf_done(&p->waiting);
        p->waiting_from = 0;
    } else if (p->waiting_from > waiting(p)) {
        buf_consume(&p->waiting, p->waiting_from);
        p->waiting_from = 0;
    }
    close_out(p);
    end_if_complete(p);
}

static void on_room(MuxStream *s _unused_, void *userdata)
{
    MuxPump *p = userdata;
    p->has_room = true;
    pump_watch(p);
}

static void on_end(MuxStream *s _unused_, void *userdata)
{
    MuxPump *p = userdata;
    p->peer_ended = true;
    close_out(p);
    pump_watch(p);
}

static void on_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    MuxPump *p = userdata;
    p->stream = NULL;
    if (reason) {
        pump_end(p, reason);
        return;
    }
    p->peer_ended = true;
    close_out(p);
    end_if_complete(p);
    if (!p->done_source)
        pump_watch(p);
}

static const MuxStreamEvents stream_events = {
    .on_data = on_data,
    .on_room = on_room,
    .on_end = on_end,
    .on_closed = on_closed,
};

static ssize_t end_read(const PumpEnd *e, uint8_t *data, size_t len)
{
    ssize_t n = e->is_socket ? recv(e->fd, data, len, MSG_DONTWAIT) : read(e->fd, data, len);
    return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

static void read_round(MuxPump *p)
{
    for (int i = 0; i < READS_PER_ROUND && p->stream && !p->in.is_over; i++) {
        size_t len = 0;
        uint8_t *to = mux_stream_reserve(p->stream, &len);
        if (!to) {
            p->has_room = false;
            return;
        }
        ssize_t n = end_read(&p->in, to, len);
        if (n == -EAGAIN)
            return;
        if (n > 0) {
            p->bytes_in += (size_t) n;
            mux_stream_commit(p->stream, (size_t) n);
        } else if (n == 0) {
            p->in.is_over = true;
            mux_stream_finish(p->stream);
        } else {
            pump_end(p, LOCAL_CLOSED);
        }
        /* A second read might wait; and a short one says that there is no more. */
        if (p->in.may_block || n < (ssize_t) len)
            return;
    }
}

/* A hang-up is found out about by what is being done anyway. */
static void pump_ready(MuxPump *p, bool in, bool out)
{
    if (out && waiting(p) > 0 && !p->out.is_over)
        flush(p);
    if (in && p->has_room && !p->done_source)
        read_round(p);
    pump_watch(p);
}

static int on_io(sd_event_source *source, int fd _unused_, uint32_t revents, void *userdata)
{
    MuxPump *p = userdata;
    bool over = revents & (EPOLLHUP | EPOLLERR);
    pump_ready(p, source == p->in_source && (over || (revents & EPOLLIN)),
               (is_one(p) || source == p->out_source) && (over || (revents & EPOLLOUT)));
    return 0;
}

static int on_always_ready(sd_event_source *source, void *userdata)
{
    MuxPump *p = userdata;
    pump_ready(p, source == p->in_source, is_one(p) || source == p->out_source);
    return 0;
}

static int end_watch(MuxPump *p, int fd, sd_event_source **ret)
{
    int r = sd_event_add_io(p->event, ret, fd, 0, on_io, p);
    if (r == -EPERM)
        r = sd_event_add_defer(p->event, ret, on_always_ready, p);
    return r;
}

static int pump_start(MuxPump *p)
{
    int r = end_init(&p->in, p->options.in);
    if (r >= 0)
        r = end_init(&p->out, p->options.out);
    if (r >= 0)
        r = end_watch(p, p->in.fd, &p->in_source);
    if (r >= 0 && !is_one(p))
        r = end_watch(p, p->out.fd, &p->out_source);
    return r;
}

static void close_ends(MuxPump *p)
{
    p->in_source = sd_event_source_disable_unref(p->in_source);
    p->out_source = sd_event_source_disable_unref(p->out_source);
    if (p->in.fd >= 0)
        close(p->in.fd);
    if (!is_one(p) && p->out.fd >= 0)
        close(p->out.fd);
}

int mux_pump_new(sd_event *event, MuxStream *s, bool accept, const MuxPumpOptions *options, MuxPump **ret)
{
    MuxPump *p = calloc(1, sizeof *p);
    if (!p) {
        close(options->in);
        if (options->in != options->out)
            close(options->out);
        return -ENOMEM;
    }
    p->event = sd_event_ref(event);
    p->options = *options;
    p->in.fd = options->in;
    p->out.fd = options->out;
    p->has_room = true;
    p->waiting = BUF_INIT((size_t) 2 * MUX_WINDOW_MAX);
    int r = pump_start(p);
    if (r < 0) {
        mux_pump_free(p, NULL);
        return r;
    }
    p->stream = s;
    if (accept)
        mux_stream_accept(s, &stream_events, p);
    else
        mux_stream_set_events(s, &stream_events, p);
    pump_watch(p);
    *ret = p;
    return 0;
}

MuxPump *mux_pump_free(MuxPump *p, const char *reason)
{
    if (!p)
        return NULL;
    if (p->stream)
        mux_stream_reset(p->stream, reason ? reason : LOCAL_CLOSED);
    close_ends(p);
    sd_event_source_disable_unref(p->done_source);
    sd_event_unref(p->event);
    buf_done(&p->waiting);
    free(p->reason);
    free(p);
    return NULL;
}

void mux_pump_bytes(const MuxPump *p, uint64_t *ret_in, uint64_t *ret_out)
{
    *ret_in = p->bytes_in;
    *ret_out = p->bytes_out;
}

/* SPDX-License-Identifier: MIT */
#include "relay-client/report/metrics-socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/stream.h"

#define READERS_MAX 8
#define READER_TIME (5 * USEC_PER_SEC)
#define REQUEST_MAX 4096
#define REQUEST_END 0x0d0a0d0au /* an empty line */
#define HEAD                                                                                                           \
    "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"                  \
    "Connection: close\r\nContent-Length: %zu\r\n\r\n"

typedef struct Reader {
    MetricsSocket *owner; /* NULL: the place is free */
    Stream *stream;
    sd_event_source *timer;
    size_t got;
    uint32_t last; /* the last four bytes */
} Reader;

struct MetricsSocket {
    sd_event *event;
    sd_event_source *source;
    char *path;
    char *(*print)(void *userdata);
    void *userdata;
    Reader readers[READERS_MAX];
    int fd;
};

static void reader_end(Reader *r)
{
    stream_free(r->stream);
    sd_event_source_disable_unref(r->timer);
    *r = (Reader) {};
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    reader_end(userdata);
    return 0;
}

static void answer(Reader *r)
{
    _cleanup_(freep) char *text = r->owner->print(r->owner->userdata);
    _cleanup_(freep) char *head = text ? str_format(HEAD, strlen(text)) : NULL;

    if (!head || stream_send(r->stream, head, strlen(head)) < 0 || stream_send(r->stream, text, strlen(text)) < 0)
        reader_end(r);
    else
        stream_end(r->stream);
}

/* Whatever is asked, there is one page; but a request is read to its end before it is answered. */
static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    Reader *r = userdata;

    r->got += len;
    for (size_t i = 0; i < len && r->last != REQUEST_END; i++)
        r->last = r->last << 8 | data[i];
    if (r->last == REQUEST_END)
        answer(r);
    else if (r->got > REQUEST_MAX)
        reader_end(r);
}

static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    reader_end(userdata);
}

static const StreamEvents reader_events = { .on_data = on_data, .on_closed = on_closed };

static Reader *free_place(MetricsSocket *m)
{
    for (size_t i = 0; i < READERS_MAX; i++)
        if (!m->readers[i].owner)
            return &m->readers[i];
    return NULL;
}

static int on_connection(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    MetricsSocket *m = userdata;
    Reader *r = free_place(m);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client < 0)
        return 0;
    if (!r) {
        close(client);
        return 0;
    }
    r->owner = m;
    if (stream_accept(m->event, client, NULL, &reader_events, r, &r->stream) < 0 ||
        timer_arm(m->event, &r->timer, READER_TIME, on_deadline, r) < 0)
        reader_end(r);
    return 0;
}

static int listen_at(const char *path, Error *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = -1;

    if (strlen(path) >= sizeof(addr.sun_path))
        return error_set(err, ENAMETOOLONG, "relay.socket", "%s is too long for a socket; shorten RELAY_RUN", path);
    memcpy(addr.sun_path, path, strlen(path) + 1);
    (void) unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *) &addr, sizeof(addr)) < 0 || chmod(path, 0660) < 0 ||
        listen(fd, READERS_MAX) < 0)
        return error_set(err, errno, "relay.socket", "cannot listen at %s: %s", path, strerror(errno));
    return TAKE_FD(fd);
}

int metrics_socket_new(sd_event *event, const char *path, char *(*print)(void *userdata), void *userdata,
                       MetricsSocket **ret, Error *err)
{
    int fd = listen_at(path, err);
    MetricsSocket *m = fd < 0 ? NULL : calloc(1, sizeof(*m));

    if (!m) {
        if (fd >= 0)
            close(fd);
        return fd < 0 ? fd : error_from_errno(err, -ENOMEM, "listen at %s", path);
    }
    *m = (MetricsSocket) { .event = sd_event_ref(event), .print = print, .userdata = userdata, .fd = fd };
    m->path = strdup(path);
    int r = m->path ? sd_event_add_io(event, &m->source, fd, EPOLLIN, on_connection, m) : -ENOMEM;
    if (r < 0) {
        metrics_socket_free(m);
        return error_from_errno(err, r, "listen at %s", path);
    }
    *ret = m;
    return 0;
}

MetricsSocket *metrics_socket_free(MetricsSocket *m)
{
    if (!m)
        return NULL;
    for (size_t i = 0; i < READERS_MAX; i++)
        if (m->readers[i].owner)
            reader_end(&m->readers[i]);
    sd_event_source_disable_unref(m->source);
    sd_event_unref(m->event);
    close(m->fd);
    if (m->path)
        (void) unlink(m->path);
    free(m->path);
    free(m);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* A stream socket with one JSON object per line, in both directions. */
#include "mgmt-agent/link/agent-client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/event/daemon.h"

#define RETRY USEC_PER_SEC
#define RETRY_JITTER (250 * USEC_PER_MSEC)
#define READ_SIZE 65536

typedef struct Line {
    struct Line *next;
    LineKind kind;
    usec_t queued_at;
    size_t len; /* with its newline */
    char text[];
} Line;

struct AgentClient {
    sd_event *event;
    sd_event_source *io, *timer;
    const AgentEvents *events;
    void *userdata;
    struct sockaddr_un address;
    Buf in;
    Line *queue; /* the head may be half written */
    size_t queue_lines, queue_bytes, head_written;
    bool up, told_down;
};

static void client_connect(AgentClient *c);

static void line_drop(AgentClient *c, Line **at)
{
    Line *line = *at;

    if (line == c->queue)
        c->head_written = 0;
    *at = line->next;
    c->queue_lines--;
    c->queue_bytes -= line->len;
    free(line);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void) s;
    (void) usec;
    client_connect(userdata);
    return 0;
}

static void client_down(AgentClient *c, int code, const char *id, const char *what)
{
    Error err = {};

    c->up = false;
    c->head_written = 0; /* a half-written line is sent again as a whole */
    c->io = sd_event_source_disable_unref(c->io);
    buf_done(&c->in);
    for (Line **at = &c->queue; *at;)
        if ((*at)->kind == LINE_SESSION)
            line_drop(c, at);
        else
            at = &(*at)->next;
    if (timer_arm(c->event, &c->timer, RETRY + random_below(RETRY_JITTER), on_retry, c) < 0)
        (void) sd_event_exit(c->event, 1); /* no way to try again: the service manager starts us anew */
    if (!c->told_down) {
        c->told_down = true;
        error_set(&err, code, id, "%s", what);
        c->events->on_down(c, &err, c->userdata);
        error_done(&err);
    }
}

/* Whether writing can go on now. */
static int client_write(AgentClient *c, int fd)
{
    while (c->queue) {
        Line *line = c->queue;

        if (line->kind != LINE_SESSION && c->head_written == 0 &&
            boottime_usec() - line->queued_at > AGENT_LINE_AGE_MAX) {
            log_warning("a message from the cloud waited too long for mgmt-agent and is dropped");
            line_drop(c, &c->queue);
            continue;
        }
        ssize_t n = send(fd, line->text + c->head_written, line->len - c->head_written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0)
            return -errno;
        c->head_written += (size_t) n;
        if (c->head_written == line->len)
            line_drop(c, &c->queue);
    }
    return sd_event_source_set_io_events(c->io, EPOLLIN | (c->queue ? (uint32_t) EPOLLOUT : 0));
}

/* Hands out whole lines. The handler may send, but not free the client. */
static void client_lines(AgentClient *c)
{
    size_t begin = 0;
    char *nl;

    while (c->up && begin < c->in.len && (nl = memchr(c->in.data + begin, '\n', c->in.len - begin))) {
        size_t len = (size_t) (nl - (c->in.data + begin));

        *nl = '\0';
        if (len > 0)
            c->events->on_line(c, c->in.data + begin, len, c->userdata);
        begin += len + 1;
    }
    if (c->up)
        buf_consume(&c->in, begin);
    if (c->up && c->in.len == 0)
        buf_done(&c->in); /* idle connections hold no memory */
}

static int client_read(AgentClient *c, int fd)
{
    size_t room = c->in.max - c->in.len, want = room < READ_SIZE ? room : READ_SIZE;
    ssize_t n;

    if (want == 0)
        return -EMSGSIZE;
    if (buf_reserve(&c->in, want) < 0)
        return -ENOMEM;
    n = recv(fd, c->in.data + c->in.len, want, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -EPIPE;
    c->in.len += (size_t) n;
    c->in.data[c->in.len] = '\0';
    client_lines(c);
    return 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    AgentClient *c = userdata;
    int r = 0;

    (void) s;
    if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        r = client_read(c, fd);
    if (r >= 0 && c->up && (revents & EPOLLOUT))
        r = client_write(c, fd);
    if (r == -EMSGSIZE)
        client_down(c, EMSGSIZE, "link.agent-line", "mgmt-agent sent a line over the limit");
    else if (r == -EPIPE || r == -ECONNRESET)
        client_down(c, EPIPE, "link.agent-gone", "mgmt-agent closed its socket");
    else if (r < 0)
        client_down(c, -r, "link.agent-gone", strerror(-r));
    return 0;
}

static void client_connect(AgentClient *c)
{
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0 || connect(fd, (const struct sockaddr *) &c->address, sizeof(c->address)) < 0) {
        client_down(c, errno, "link.agent-away", strerror(errno));
        return;
    }
    r = sd_event_add_io(c->event, &c->io, fd, EPOLLIN | EPOLLOUT, on_io, c);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(c->io, 1);
    if (r < 0) {
        client_down(c, -r, "link.agent-away", strerror(-r));
        return;
    }
    fd = -1;
    c->up = true;
    c->told_down = false;
    c->events->on_up(c, c->userdata);
}

int agent_client_new(sd_event *event, const char *path, const AgentEvents *events, void *userdata, AgentClient **ret,
                     Error *err)
{
    _cleanup_(agent_client_freep) AgentClient *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return error_from_errno(err, -ENOMEM, "cannot watch the agent's socket");
    if (strlen(path) >= sizeof(c->address.sun_path))
        return error_set(err, ENAMETOOLONG, "link.bad-socket", "the socket's path %s has more than %zu bytes", path,
                         sizeof(c->address.sun_path) - 1);
    c->address.sun_family = AF_UNIX;
    memcpy(c->address.sun_path, path, strlen(path) + 1);
    c->event = sd_event_ref(event);
    c->events = events;
    c->userdata = userdata;
    c->in = BUF_INIT(CONTROL_LINE_MAX);
    r = timer_arm(event, &c->timer, 0, on_retry, c);
    if (r < 0)
        return error_from_errno(err, r, "cannot watch the agent's socket");
    *ret = TAKE_PTR(c);
    return 0;
}

AgentClient *agent_client_free(AgentClient *c)
{
    if (!c)
        return NULL;
    while (c->queue)
        line_drop(c, &c->queue);
    sd_event_source_disable_unref(c->io);
    sd_event_source_disable_unref(c->timer);
    buf_done(&c->in);
    sd_event_unref(c->event);
    free(c);
    return NULL;
}

bool agent_client_is_up(const AgentClient *c)
{
    return c->up;
}

static bool queue_is_full(const AgentClient *c, size_t len)
{
    return c->queue_lines >= AGENT_QUEUE_LINES_MAX || c->queue_bytes + len > AGENT_QUEUE_BYTES_MAX;
}

/* Drops the oldest questions until there is room. A line of which a part is out stays. */
static void queue_make_room(AgentClient *c, size_t len)
{
    Line **at = &c->queue;

    while (*at && queue_is_full(c, len))
        if ((*at)->kind == LINE_ASK && !(*at == c->queue && c->head_written > 0))
            line_drop(c, at);
        else
            at = &(*at)->next;
}

int agent_client_send(AgentClient *c, LineKind kind, const char *text, size_t len)
{
    Line **at = &c->queue, *line;

    if (kind == LINE_SESSION && !c->up)
        return -ENOTCONN;
    if (len + 1 > CONTROL_LINE_MAX)
        return -EMSGSIZE;
    queue_make_room(c, len + 1);
    if (queue_is_full(c, len + 1))
        return -ENOBUFS;
    line = malloc(sizeof(*line) + len + 1);
    if (!line)
        return -ENOMEM;
    *line = (Line) { .kind = kind, .queued_at = boottime_usec(), .len = len + 1 };
    memcpy(line->text, text, len);
    line->text[len] = '\n';
    /* session lines go before what waited for the connection: the first line of a link is link.hello */
    if (kind == LINE_SESSION) {
        if (*at && c->head_written > 0)
            at = &(*at)->next;
        while (*at && (*at)->kind == LINE_SESSION)
            at = &(*at)->next;
    } else {
        while (*at)
            at = &(*at)->next;
    }
    line->next = *at;
    *at = line;
    c->queue_lines++;
    c->queue_bytes += line->len;
    return c->up ? sd_event_source_set_io_events(c->io, EPOLLIN | EPOLLOUT) : 0;
}

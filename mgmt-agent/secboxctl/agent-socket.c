/* SPDX-License-Identifier: MIT */
/* A line of JSON out, lines of JSON in, each with a deadline. */
#include "mgmt-agent/secboxctl/agent-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/tunnel/message.h"

#define CONNECT_TIMEOUT_SECONDS 10

/* Whom the sentences name, and what to look at. */
typedef struct Peer {
    const char *name, *see;
    MessageSender sender;
} Peer;

static const Peer agent_peer = { "mgmt-agent", "`journalctl -u mgmt-agent`", SENDER_AGENT };
static const Peer secbox_peer = { "secbox", "`podman logs secbox`", SENDER_BOX };

struct AgentSocket {
    const Peer *peer;
    int fd;
    Buf in;
};

AgentSocket *agent_close(AgentSocket *s)
{
    if (!s)
        return NULL;
    closep(&s->fd);
    buf_done(&s->in);
    free(s);
    return NULL;
}

static int connect_error(Error *err, int code, const Peer *peer, const char *path)
{
    if (code == EACCES || code == EPERM)
        return error_set(err, EHOSTUNREACH, "agent.not-allowed", "%s may only be used by root: run this as root", path);
    if (code == ENOENT || code == ECONNREFUSED)
        return error_set(err, EHOSTUNREACH, "agent.unreachable", "%s does not run (nobody listens on %s): see %s",
                         peer->name, path,
                         peer == &agent_peer ? "`systemctl status mgmt-agent`" : "`secboxctl status`");
    return error_set(err, EHOSTUNREACH, "agent.unreachable", "cannot connect to %s on %s: %s", peer->name, path,
                     strerror(code));
}

/* `path` is what sentences show, `at` where it is. */
static int open_peer(const Peer *peer, const char *path, const char *at, AgentSocket **ret, Error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval timeout = { .tv_sec = CONNECT_TIMEOUT_SECONDS };

    if (strlen(at) >= sizeof(address.sun_path))
        return error_set(err, EHOSTUNREACH, "agent.unreachable",
                         "the path of %s's socket is longer than a socket's name may be (%zu bytes): %s", peer->name,
                         sizeof(address.sun_path) - 1, path);
    memcpy(address.sun_path, at, strlen(at) + 1);

    _cleanup_(agent_closep) AgentSocket *s = calloc(1, sizeof(*s));
    if (!s)
        return error_from_errno(err, -ENOMEM, "connect to %s", peer->name);
    s->peer = peer;
    s->in = BUF_INIT(CONTROL_LINE_MAX);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return error_from_errno(err, -errno, "make a socket");
    /* also bounds connect(2), which waits when the agent's queue is full */
    if (setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
        return error_from_errno(err, -errno, "set a socket's deadline");
    if (connect(s->fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        return connect_error(err, errno, peer, path);
    *ret = TAKE_PTR(s);
    return 0;
}

int agent_open(const char *path, AgentSocket **ret, Error *err)
{
    return open_peer(&agent_peer, path, path, ret, err);
}

/* By a descriptor of what stands at the path: a link from there could lead to any other program's socket. */
int secbox_open(const char *path, AgentSocket **ret, Error *err)
{
    char at[sizeof("/proc/self/fd/") + 12];
    struct stat st;
    _cleanup_(closep) int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return connect_error(err, errno, &secbox_peer, path);
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return error_set(err, EHOSTUNREACH, "agent.unreachable", "%s is no socket", path);
    (void) snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
    return open_peer(&secbox_peer, path, at, ret, err);
}

int agent_send(AgentSocket *s, const cJSON *message, Error *err)
{
    _cleanup_(freep) char *text = json_print(message);
    _cleanup_(freep) char *line = text ? str_format("%s\n", text) : NULL;

    if (!line)
        return error_from_errno(err, -ENOMEM, "write a message");
    for (size_t done = 0, len = strlen(line); done < len;) {
        ssize_t n = send(s->fd, line + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return error_set(err, EHOSTUNREACH, "agent.timeout", "%s does not read its socket", s->peer->name);
        if (n < 0)
            return error_set(err, EHOSTUNREACH, "agent.closed", "%s closed the connection: %s", s->peer->name,
                             strerror(errno));
        done += (size_t) n;
    }
    return 0;
}

/* Waits for more bytes and appends them. */
static int fill(AgentSocket *s, usec_t deadline, Error *err)
{
    char chunk[16384];
    usec_t now = boottime_usec(), left = deadline > now ? deadline - now : 0;
    struct pollfd p = { .fd = s->fd, .events = POLLIN };

    if (left == 0)
        return error_set(err, EHOSTUNREACH, "agent.timeout", "%s did not answer in time: see %s", s->peer->name,
                         s->peer->see);
    usec_t msec = (left + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    int r = poll(&p, 1, msec > 60000 ? 60000 : (int) msec);
    if (r < 0 && errno != EINTR)
        return error_set(err, EHOSTUNREACH, "agent.closed", "cannot wait for %s: %s", s->peer->name, strerror(errno));
    if (r <= 0)
        return 0;

    ssize_t n = recv(s->fd, chunk, sizeof(chunk), 0);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return error_set(err, EHOSTUNREACH, "agent.closed", "%s closed the connection before it answered: see %s",
                         s->peer->name, s->peer->see);
    if (buf_append(&s->in, chunk, (size_t) n) < 0)
        return error_set(err, EHOSTUNREACH, "agent.bad-answer", "%s sent a line longer than %d bytes", s->peer->name,
                         CONTROL_LINE_MAX);
    return 0;
}

/* Takes the first whole line out of the buffer. 1 when *ret is a message, 0 when there was no line or an unknown type. */
static int next_message(AgentSocket *s, cJSON **ret, bool *ret_line, Error *err)
{
    char *newline = s->in.len > 0 ? memchr(s->in.data, '\n', s->in.len) : NULL;
    _cleanup_(error_done) Error why = {};
    const MessageType *type;

    *ret_line = newline != NULL;
    if (!newline)
        return 0;
    size_t len = (size_t) (newline - s->in.data);
    int r = message_parse(s->in.data, len, s->peer->sender, ret, &type, &why);
    buf_consume(&s->in, len + 1);
    if (r == -ENOMSG)
        return 0;
    if (r < 0)
        return error_set(err, EHOSTUNREACH, "agent.bad-answer", "%s's answer cannot be read: %s", s->peer->name,
                         error_message(&why, r));
    return 1;
}

/* Whether the message is about `id`; an error without an id is about whatever was asked last. */
static int is_about(const cJSON *message, const char *id)
{
    const char *about = json_string(message, "id");
    return str_equal(about, id) || (!about && str_equal(json_string(message, "type"), "error"));
}

int agent_receive(AgentSocket *s, const char *id, usec_t deadline, cJSON **ret, Error *err)
{
    for (;;) {
        _cleanup_(cJSON_Deletep) cJSON *message = NULL;
        bool line;
        int r = next_message(s, &message, &line, err);

        if (r == 0 && !line)
            r = fill(s, deadline, err);
        if (r < 0)
            return r;
        if (!message || !is_about(message, id))
            continue;
        if (str_equal(json_string(message, "type"), "error"))
            return json_to_error(cJSON_GetObjectItemCaseSensitive(message, "error"), EREMOTEIO, err);
        *ret = TAKE_PTR(message);
        return 0;
    }
}

int agent_ask(AgentSocket *s, const cJSON *request, const char *answer, usec_t timeout, cJSON **ret, Error *err)
{
    usec_t deadline = boottime_usec() + timeout;
    int r = agent_send(s, request, err);

    while (r >= 0) {
        _cleanup_(cJSON_Deletep) cJSON *message = NULL;
        r = agent_receive(s, json_string(request, "id"), deadline, &message, err);
        if (r >= 0 && str_equal(json_string(message, "type"), answer)) {
            *ret = TAKE_PTR(message);
            return 0;
        }
    }
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/pairing/agent-call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define DEADLINE (30 * USEC_PER_SEC)
#define ANSWER_MAX ((size_t) 256 * 1024)
#define CALL_ID "page"

struct AgentCall {
    sd_event_source *io, *timer;
    int fd;
    Buf in;
    agent_call_done_t on_done;
    void *userdata;
};

AgentCall *agent_call_free(AgentCall *c)
{
    if (!c)
        return NULL;
    sd_event_source_disable_unref(c->io);
    sd_event_source_disable_unref(c->timer);
    closep(&c->fd);
    buf_done(&c->in);
    free(c);
    return NULL;
}

static void end(AgentCall *c, int r, const cJSON *pairing, const Error *err)
{
    agent_call_done_t on_done = c->on_done;
    void *userdata = c->userdata;

    sd_event_source_disable_unref(TAKE_PTR(c->io));
    sd_event_source_disable_unref(TAKE_PTR(c->timer));
    on_done(r, pairing, err, userdata);
    agent_call_free(c);
}

static void end_unreachable(AgentCall *c, const char *sentence)
{
    _cleanup_(error_done) Error err = {};

    end(c, error_set(&err, EHOSTUNREACH, "agent.unreachable", "%s", sentence), NULL, &err);
}

/* Whether the line was the answer: then the call is over. */
static bool take_line(AgentCall *c, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    _cleanup_(error_done) Error err = {};
    const MessageType *type = NULL;

    if (message_parse(c->in.data, len, SENDER_AGENT, &m, &type, NULL) < 0 || !str_equal(json_string(m, "id"), CALL_ID))
        return false;
    if (str_equal(type->name, "pair.report")) {
        end(c, 0, cJSON_GetObjectItemCaseSensitive(m, "pairing"), NULL);
        return true;
    }
    if (!str_equal(type->name, "error"))
        return false;
    int r = json_to_error(cJSON_GetObjectItemCaseSensitive(m, "error"), EREMOTEIO, &err);
    end(c, r, NULL, &err);
    return true;
}

static int on_io(sd_event_source *s _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    AgentCall *c = userdata;
    char *newline;

    if (buf_reserve(&c->in, 4096) < 0) {
        end_unreachable(c, "mgmt-agent's answer is too long");
        return 0;
    }
    ssize_t n = recv(fd, c->in.data + c->in.len, 4096, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        end_unreachable(c, "mgmt-agent has closed its socket");
        return 0;
    }
    c->in.len += (size_t) n;
    while (c->in.len > 0 && (newline = memchr(c->in.data, '\n', c->in.len))) {
        size_t len = (size_t) (newline - c->in.data);

        if (take_line(c, len))
            return 0;
        buf_consume(&c->in, len + 1);
    }
    return 0;
}

static int on_deadline(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
    end_unreachable(userdata, "mgmt-agent does not answer");
    return 0;
}

static int send_line(int fd, const cJSON *request)
{
    _cleanup_(secret_freep) char *text = json_print(request), *line = text ? str_format("%s\n", text) : NULL;

    if (!line)
        return -ENOMEM;
    /* far less than a socket's buffer holds */
    ssize_t n = send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t) strlen(line) ? 0 : n < 0 ? -errno : -EAGAIN;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int agent_call_start(sd_event *event, const char *socket_path, cJSON *request, agent_call_done_t on_done,
                     void *userdata, AgentCall **ret, Error *err)
{
    AgentCall *c = calloc(1, sizeof(*c));
    int r = c && json_add_string(request, "id", CALL_ID) == 0 ? connect_to(socket_path) : -ENOMEM;

    if (c) {
        c->fd = r;
        c->in = BUF_INIT(ANSWER_MAX);
        c->on_done = on_done;
        c->userdata = userdata;
    }
    if (r >= 0)
        r = send_line(c->fd, request);
    if (r >= 0)
        r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_io, c);
    if (r >= 0)
        r = timer_arm(event, &c->timer, DEADLINE, on_deadline, c);
    if (r < 0) {
        agent_call_free(c);
        return error_set(err, EHOSTUNREACH, "agent.unreachable", "mgmt-agent does not answer on %s: %s", socket_path,
                         strerror(-r));
    }
    *ret = c;
    return 0;
}

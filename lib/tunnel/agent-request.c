/* SPDX-License-Identifier: MIT */
/* A line out, lines in until the one with our id. */
#include "lib/tunnel/agent-request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define ANSWER_MAX (256 * 1024)
#define READ_SIZE 4096

struct AgentRequest {
    sd_event_source *io, *deadline;
    int fd;
    char *id;
    const char *answer_type;
    Buf in;
    agent_request_done_t on_done;
    void *userdata;
};

AgentRequest *agent_request_free(AgentRequest *q)
{
    if (!q)
        return NULL;
    sd_event_source_disable_unref(q->io);
    sd_event_source_disable_unref(q->deadline);
    if (q->fd >= 0)
        close(q->fd);
    free(q->id);
    buf_done(&q->in);
    free(q);
    return NULL;
}

static void end(AgentRequest *q, int r, const cJSON *message, const Error *err)
{
    q->on_done(r, message, err, q->userdata);
    agent_request_free(q);
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    _cleanup_(error_done) Error err = {};
    end(userdata, error_set(&err, ETIMEDOUT, "request.timeout", "mgmt-agent did not finish in time"), NULL, &err);
    return 0;
}

/* 1: this line was the answer, and q is gone. */
static int take_line(AgentRequest *q, const char *line, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    _cleanup_(error_done) Error err = {};
    const MessageType *type = NULL;
    if (message_parse(line, len, SENDER_AGENT, &m, &type, NULL) < 0)
        return 0;
    bool is_error = str_equal(type->name, "error");
    const char *id = json_string(m, "id");
    if ((!is_error && !str_equal(type->name, q->answer_type)) || (id && !str_equal(id, q->id)))
        return 0;
    if (is_error)
        end(q, json_to_error(cJSON_GetObjectItemCaseSensitive(m, "error"), EREMOTEIO, &err), NULL, &err);
    else
        end(q, 0, m, NULL);
    return 1;
}

static int on_io(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    AgentRequest *q = userdata;
    _cleanup_(error_done) Error err = {};
    char *newline;
    int r = buf_reserve(&q->in, READ_SIZE);
    ssize_t n = r < 0 ? -1 : recv(fd, q->in.data + q->in.len, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && r >= 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        end(q, error_set(&err, ECONNRESET, "request.socket", "mgmt-agent closed its socket before it answered"), NULL,
            &err);
        return 0;
    }
    q->in.len += (size_t) n;
    while ((newline = memchr(q->in.data, '\n', q->in.len))) {
        size_t len = (size_t) (newline - q->in.data);
        if (take_line(q, q->in.data, len) > 0)
            return 0;
        buf_consume(&q->in, len + 1);
    }
    return 0;
}

static int connect_to(const char *path, Error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, "request.socket", "the socket's path is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* EAGAIN: its queue of connections is full, since it does not accept any */
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set(err, errno, "request.socket", "mgmt-agent cannot be reached at %s: %s", path, strerror(errno));
    return TAKE_FD(fd);
}

/* A line may hold secrets: a claim, and the PIN with it. */
static int send_request(const AgentRequest *q, cJSON *request, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL, *line = NULL;
    if (json_add_string(request, "id", q->id) < 0 || !(text = json_print(request)) ||
        !(line = str_format("%s\n", text)))
        return -ENOMEM;
    /* far less than a socket's buffer holds */
    if (send(q->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t) strlen(line))
        return error_set(err, EIO, "request.socket", "mgmt-agent takes no request");
    return 0;
}

int agent_request_start(sd_event *event, const char *socket_path, cJSON *request, const char *answer_type,
                        usec_t deadline, agent_request_done_t on_done, void *userdata, AgentRequest **ret, Error *err)
{
    AgentRequest *q = calloc(1, sizeof(*q));
    if (!q)
        return error_from_errno(err, -ENOMEM, "asking mgmt-agent");
    *q = (AgentRequest) { .fd = -1,
                          .answer_type = answer_type,
                          .in = BUF_INIT(ANSWER_MAX + READ_SIZE),
                          .on_done = on_done,
                          .userdata = userdata };
    q->id = str_format("request-%016llx", (unsigned long long) random_u64());
    int r = q->id ? connect_to(socket_path, err) : -ENOMEM;
    if (r >= 0) {
        q->fd = r;
        r = send_request(q, request, err);
    }
    if (r >= 0)
        r = sd_event_add_io(event, &q->io, q->fd, EPOLLIN, on_io, q);
    if (r >= 0)
        r = timer_arm(event, &q->deadline, deadline, on_deadline, q);
    if (r < 0) {
        agent_request_free(q);
        return error_from_errno(err, r, "asking mgmt-agent");
    }
    *ret = q;
    return 0;
}

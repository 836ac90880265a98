/* SPDX-License-Identifier: MIT */
/* A client of our own. */

#include "mgmt-agent/agent/agent-self-check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/saver.h"

#define SELF "/proc/self/exe"
#define QUESTION "{\"type\":\"probe\",\"id\":\"watchdog\"}\n"
/* each write is one on a flash disk */
#define SCRATCH_EVERY 4

struct AgentAlive {
    sd_event *event;
    sd_event_source *source;
    Saver *saver; /* a disk that hangs must not hold up the loop */
    char *scratch;
    int fd;       /* -1: not connected */
    bool waiting; /* for the answer */
    bool disk_fault;
    unsigned count;
};

static void disconnect(AgentAlive *a)
{
    a->source = sd_event_source_disable_unref(a->source);
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

AgentAlive *agent_alive_free(AgentAlive *a)
{
    if (!a)
        return NULL;
    disconnect(a);
    saver_free(a->saver);
    sd_event_unref(a->event);
    free(a->scratch);
    free(a);
    return NULL;
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    AgentAlive *a = userdata;
    char piece[256];
    ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

    (void) source;
    (void) revents;
    if (n > 0 && memchr(piece, '\n', (size_t) n))
        a->waiting = false;
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        disconnect(a);
    return 0;
}

static int connect_to_self(AgentAlive *a)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(freep) char *path = path_in_root(AGENT_SOCKET_PATH);
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (!path || strlen(path) >= sizeof(address.sun_path))
        return -ENOMEM;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return -errno;
    r = sd_event_add_io(a->event, &a->source, fd, EPOLLIN, on_answer, a);
    if (r >= 0)
        a->fd = TAKE_FD(fd);
    return r;
}

static void on_scratch(bool written, void *userdata)
{
    AgentAlive *a = userdata;

    if (!written && !a->disk_fault)
        log_warning("%s cannot be written", a->scratch);
    else if (written && a->disk_fault)
        log_notice("%s can be written again", a->scratch);
    a->disk_fault = !written;
}

/* One that was thrown out, since all places are taken, asks anew the next time. */
int agent_alive_check(void *alive)
{
    AgentAlive *a = alive;

    if (a->waiting && a->fd >= 0)
        return 0;
    a->waiting = false;
    if (a->count++ % SCRATCH_EVERY == 0 && saver_write(a->saver, a->scratch, "alive\n", on_scratch, a) < 0)
        on_scratch(false, a);
    if (a->fd < 0 && connect_to_self(a) < 0)
        return 0;
    a->waiting = true;
    if (send(a->fd, QUESTION, strlen(QUESTION), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t) strlen(QUESTION))
        disconnect(a);
    return 1;
}

int agent_alive_new(sd_event *event, AgentAlive **ret, Error *err)
{
    AgentAlive *a = calloc(1, sizeof(*a));

    if (!a)
        return error_from_errno(err, -ENOMEM, "starting");
    *a = (AgentAlive) { .event = sd_event_ref(event), .scratch = path_in_root(AGENT_STATE_DIR "/scratch"), .fd = -1 };
    if (!a->scratch || saver_new(event, SELF, &a->saver, err) < 0) {
        agent_alive_free(a);
        return error_from_errno(err, -ENOMEM, "starting");
    }
    *ret = a;
    return 0;
}

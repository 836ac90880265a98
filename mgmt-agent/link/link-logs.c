/* SPDX-License-Identifier: MIT */
/* Logs for people: a stream by the bridge to a connection of its own to mgmt-agent. One way only: nothing that comes by the
 * stream is said to the agent, since whoever speaks here speaks as mgmt-link. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/link/link-impl.h"

/* Only what is known is passed on. */
static char *make_question(const cJSON *open)
{
    static const char *const texts[] = { "service", "since", "person", "project" };
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("logs.read");
    _cleanup_(freep) char *text = NULL;
    uint64_t tail = 0;

    if (!m || json_add_string(m, "id", json_string(open, "session")) < 0 ||
        json_add_bool(m, "follow", json_bool(open, "follow", false)) < 0)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (json_add_string(m, texts[i], json_string(open, texts[i])) < 0)
            return NULL;
    if (json_u64(open, "tail", &tail) == 0 && json_add_u64(m, "tail", tail) < 0)
        return NULL;
    text = json_print(m);
    return text ? str_format("%s\n", text) : NULL;
}

static int connect_at(const char *path, Error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, "logs.agent", "the path of mgmt-agent's socket is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set(err, errno, "logs.agent", "cannot connect to mgmt-agent on %s: %s", path, strerror(errno));
    return TAKE_FD(fd);
}

static int open_nowhere(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

int link_dial_logs(const cJSON *open, void *socket, int *ret_in, int *ret_out, Error *err)
{
    _cleanup_(freep) char *line = make_question(open);
    _cleanup_(closep) int fd = line ? connect_at(socket, err) : -ENOMEM;
    _cleanup_(closep) int nowhere = fd < 0 ? -1 : open_nowhere();

    if (fd < 0)
        return fd;
    /* a new connection has room for a line */
    if (nowhere < 0 || send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t) strlen(line))
        return error_set(err, EIO, "logs.agent", "cannot ask mgmt-agent for a log: %s", strerror(errno));
    *ret_in = TAKE_FD(fd);
    *ret_out = TAKE_FD(nowhere);
    return 0;
}

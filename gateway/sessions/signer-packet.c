/* SPDX-License-Identifier: MIT */
/* See signer-packet.h. */
#include "gateway/sessions/signer-packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

int packet_connect(const char *path, int *ret, Error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, "signer.unavailable", "%s is too long for the path of a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set(err, errno, "signer.unavailable", "%s cannot be connected (%s)", path, strerror(errno));
    *ret = TAKE_FD(fd);
    return 0;
}

int packet_send(int fd, const cJSON *object)
{
    _cleanup_(secret_freep) char *text = json_print(object);
    size_t len = text ? strlen(text) : 0;

    if (!text)
        return -ENOMEM;
    if (len > SIGNER_PACKET_MAX)
        return -EMSGSIZE;
    return send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int packet_receive(int fd, cJSON **ret)
{
    char text[SIGNER_PACKET_MAX];
    ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT | MSG_TRUNC);

    *ret = NULL;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    int r = (size_t) n > sizeof(text) ? -EBADMSG : json_parse_object(text, (size_t) n, ret, NULL);
    explicit_bzero(text, (size_t) n > sizeof(text) ? sizeof(text) : (size_t) n); /* there may be a token in it */
    return r == -ENOMEM ? r : r < 0 ? -EBADMSG : 0;
}

/* SPDX-License-Identifier: MIT */
/* Stands in /usr/bin/podman and podman-compose for fake_podman.py, which plays podman for many boxes in one process and waits
 * at the UNIX socket CONTROL. As podman it serves `system service --time=0 unix://PATH` by handing the listening socket over; as
 * podman-compose it passes the compose file's path on and prints what comes of it. */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(const char *path, int listening)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (listening ? bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 64) < 0
                  : connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return -1;
    return fd;
}

static int send_line(int control, const char *verb, const char *path, int passed)
{
    char line[512], space[CMSG_SPACE(sizeof(int))] = "";
    struct iovec iov = { line, (size_t) snprintf(line, sizeof(line), "%s %s\n", verb, path) };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (passed >= 0) {
        message.msg_control = space;
        message.msg_controllen = sizeof(space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed, sizeof(int));
    }
    return sendmsg(control, &message, 0) < 0 ? -1 : 0;
}

/* Copies what comes back until the end; the last byte is the exit status. */
static int copy_answer(int control)
{
    char text[4096];
    ssize_t n;
    int last = -1;

    while ((n = read(control, text, sizeof(text))) > 0) {
        if (last >= 0)
            putchar(last);
        fwrite(text, 1, (size_t) n - 1, stdout);
        last = (unsigned char) text[n - 1];
    }
    return last < 0 ? 125 : last;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    int control;

    if (strcmp(name, "podman-compose") == 0 && argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("podman-compose version: 1.0.3");
        return 0;
    }
    control = open_socket(CONTROL, 0);
    if (control < 0) {
        perror(CONTROL);
        return 125;
    }
    if (strcmp(name, "podman") == 0 && argc == 5 && strcmp(argv[2], "service") == 0 &&
        strncmp(argv[4], "unix://", 7) == 0) {
        int listening = open_socket(argv[4] + 7, 1);

        if (listening < 0 || send_line(control, "serve", argv[4] + 7, listening) < 0)
            return 125;
        close(listening);
        return copy_answer(control);
    }
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(name, "podman-compose") == 0 && strcmp(argv[i], "-f") == 0 &&
            send_line(control, "up", argv[i + 1], -1) == 0)
            return copy_answer(control);
    fprintf(stderr, "%s: only what mgmt-worker asks for is played here\n", name);
    return 125;
}

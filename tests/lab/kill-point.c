/* SPDX-License-Identifier: MIT */
/* Preloaded into mgmt-worker by kill_point.py: kills it, or mgmt-agent and with it the worker, at the one call that a
 * file describes. The file is the trigger: it is removed before the kill, so that it happens once. */

#include <errno.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTENT_MAX (1024 * 1024)

static ssize_t (*real_write(void))(int, const void *, size_t)
{
    static ssize_t (*real)(int, const void *, size_t);

    if (!real)
        *(void **) &real = dlsym(RTLD_NEXT, "write");
    return real;
}

static size_t read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? 0 : 1;

    while (n > 0 && len < size - 1) {
        n = read(fd, buffer + len, size - 1 - len);
        if (n > 0)
            len += (size_t) n;
    }
    if (fd >= 0)
        close(fd);
    buffer[len] = '\0';
    return len;
}

/* Only ever our own mgmt-agent: a worker whose parent is gone already has another. */
static void kill_agent(void)
{
    char path[64], name[32];

    snprintf(path, sizeof(path), "/proc/%d/comm", (int) getppid());
    if (read_file(path, name, sizeof(name)) > 0 && strcmp(name, "mgmt-agent\n") == 0)
        kill(getppid(), SIGKILL);
}

static void kill_point(const char *call, const char *when, const char *data, size_t len)
{
    static unsigned seen;
    const char *path = getenv("SECBOX_KILL_POINT");
    char rule[512] = "", wanted_call[16], wanted_when[16], whom[16], text[256];
    unsigned count;
    int saved = errno;

    if (path && strcmp(program_invocation_short_name, "mgmt-worker") == 0 && read_file(path, rule, sizeof(rule)) > 0 &&
        sscanf(rule, "%15s %15s %15s %u %255[^\n]", wanted_call, wanted_when, whom, &count, text) == 5 &&
        strcmp(call, wanted_call) == 0 && strcmp(when, wanted_when) == 0 && memmem(data, len, text, strlen(text)) &&
        ++seen >= count && unlink(path) == 0) {
        if (strcmp(whom, "agent") == 0)
            kill_agent();
        kill(getpid(), SIGKILL);
    }
    errno = saved;
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t n;

    kill_point("write", "before", data, len);
    n = real_write()(fd, data, len);
    kill_point("write", "after", data, len);
    return n;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    ssize_t n;

    if (!real)
        *(void **) &real = dlsym(RTLD_NEXT, "send");
    kill_point("send", "before", data, len);
    n = real(fd, data, len, flags);
    kill_point("send", "after", data, len);
    return n;
}

/* What counts of a rename is the text that becomes the file's content. */
int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    char *content = malloc(CONTENT_MAX);
    size_t len = content ? read_file(from, content, CONTENT_MAX) : 0;
    int r;

    if (!real)
        *(void **) &real = dlsym(RTLD_NEXT, "rename");
    kill_point("rename", "before", content, len);
    r = real(from, to);
    kill_point("rename", "after", content, len);
    free(content);
    return r;
}

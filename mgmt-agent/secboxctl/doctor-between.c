/* SPDX-License-Identifier: MIT */
/* doctor: what stands between this box and its gateway, and answers in its place or not at all. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/websocket/handshake.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define ANSWER_MAX 4096
#define TIMEOUT_SECONDS 5
#define UNIT_FILE_MAX 65536

int connect_to(const char *host, uint16_t port)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    const struct timeval timeout = { .tv_sec = TIMEOUT_SECONDS };
    struct addrinfo *found = NULL;
    char service[8];
    int fd = -EHOSTUNREACH;

    (void) snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return -EDESTADDRREQ;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        int s = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

        if (s >= 0 && setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
            connect(s, a->ai_addr, a->ai_addrlen) == 0)
            fd = s;
        else
            fd = errno == EINPROGRESS ? -ETIMEDOUT : -errno; /* it is what the kernel says then */
        if (fd < 0 && s >= 0)
            close(s);
    }
    freeaddrinfo(found);
    return fd;
}

/* As recv(), until that time: whoever answers a byte at a time must not hold doctor up. */
static ssize_t receive_until(int fd, char *to, size_t size, usec_t deadline)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    usec_t now = boottime_usec();

    if (now >= deadline || poll(&p, 1, (int) ((deadline - now) / USEC_PER_MSEC)) <= 0)
        return 0;
    return recv(fd, to, size, MSG_DONTWAIT);
}

/* The head of what is answered to a plain HTTP request; false when there is no such answer. */
static bool ask_plainly(const WsUrl *url, char answer[static ANSWER_MAX])
{
    _cleanup_(freep) char *request = str_format("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", url->host);
    _cleanup_(closep) int fd = request ? connect_to(url->host, url->port) : -1;
    usec_t deadline = boottime_usec() + TIMEOUT_SECONDS * USEC_PER_SEC;
    size_t len = 0;
    ssize_t n = 1;

    if (fd < 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t) strlen(request))
        return false;
    while (n > 0 && len < ANSWER_MAX - 1) {
        n = receive_until(fd, answer + len, ANSWER_MAX - 1 - len, deadline);
        len += n > 0 ? (size_t) n : 0;
        answer[len] = '\0';
    }
    return str_starts(answer, "HTTP/1.");
}

/* Where an answer sends whoever asks: a new string or NULL. */
static char *location_of(char *answer)
{
    char *state = NULL;

    for (char *line = strtok_r(answer, "\r\n", &state); line; line = strtok_r(NULL, "\r\n", &state))
        if (strncasecmp(line, "Location:", strlen("Location:")) == 0)
            return text_printable(line + strlen("Location:") + strspn(line + strlen("Location:"), " "));
    return NULL;
}

static void add_to_detail(Finding *f, const char *more)
{
    char *all = str_format("%s; %s", f->detail ? f->detail : "", more);

    if (!all)
        return;
    free(f->detail);
    f->detail = all;
}

const char *finding_of_portal(const char *gateway, Finding *f)
{
    char answer[ANSWER_MAX] = "";
    WsUrl url = {};
    bool plain = ws_url_parse(gateway, "tunnel.bad-url", &url, NULL) >= 0 && ask_plainly(&url, answer);
    _cleanup_(freep) char *location = plain ? location_of(answer) : NULL;
    _cleanup_(freep) char *more =
        location ? str_format("something answers in its place and leads to %s", location) : NULL;

    ws_url_done(&url);
    if (!plain)
        return NULL;
    if (!more) {
        add_to_detail(f, "something answers there in plain HTTP");
        return "It is another program than the gateway, or a gateway without TLS: check the port in MGMT_GATEWAY_URL.";
    }
    add_to_detail(f, more);
    return "The network here lets nobody out who has not logged in (a captive portal): open that page in a browser on "
           "this network, or have its owner let this box out. mgmt-link then connects by itself.";
}

/* A property of mgmt-link's unit: a new string or NULL. */
static char *property(const char *name)
{
    const char *const argv[] = { "/usr/bin/systemctl", "show", "--value", "--property", name, "mgmt-link", NULL };
    char *value = NULL;

    if (run_quietly(argv, &value))
        return value;
    free(value);
    return NULL;
}

/* The variable by which the unit names a proxy for HTTPS; NULL when it names none. */
static const char *proxy_variable(char *environment)
{
    static const char *const names[] = { "https_proxy=", "HTTPS_PROXY=", "all_proxy=", "ALL_PROXY=" };
    char *state = NULL;

    for (char *word = strtok_r(environment, " ", &state); word; word = strtok_r(NULL, " ", &state))
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
            if (str_starts(word, names[i]))
                return names[i];
    return NULL;
}

/* The file among these that sets the variable: a new string or NULL. */
static char *file_with(char *paths, const char *variable)
{
    char *state = NULL;

    for (char *path = paths ? strtok_r(paths, " ", &state) : NULL; path; path = strtok_r(NULL, " ", &state)) {
        _cleanup_(freep) char *text = NULL;

        if (text_is_shell_word(path) && file_read(path, UNIT_FILE_MAX, &text, NULL, NULL) >= 0 &&
            strstr(text, variable))
            return strdup(path);
    }
    return NULL;
}

bool link_has_proxy(void)
{
    _cleanup_(freep) char *environment = str_empty(paths_root()) ? property("Environment") : NULL;

    return environment && proxy_variable(environment);
}

const char *finding_of_proxy(Finding *f)
{
    _cleanup_(freep) char *environment = str_empty(paths_root()) ? property("Environment") : NULL,
                          *drop_ins = environment ? property("DropInPaths") : NULL,
                          *fragment = environment ? property("FragmentPath") : NULL;
    const char *variable = environment ? proxy_variable(environment) : NULL;

    if (!variable)
        return NULL;
    _cleanup_(freep) char *file = file_with(drop_ins, variable);
    if (!file)
        file = file_with(fragment, variable);
    _cleanup_(freep) char *more =
        str_format("mgmt-link goes through the proxy that %.*s names%s%s", (int) strlen(variable) - 1, variable,
                   file ? " in " : "", file ? file : "");
    if (more)
        add_to_detail(f, more);
    if (file)
        finding_remedy(f, "sed -i '/%s/s/^/#/' %s && systemctl daemon-reload && systemctl restart mgmt-link", variable,
                       file);
    return "Or name a proxy that works.";
}

/* SPDX-License-Identifier: MIT */
/* doctor: whether the cloud's name is resolved, and why it is not. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define DNS_TIMEOUT (20 * USEC_PER_SEC)
#define SERVER_TIMEOUT_MS 3000
#define HOST_MAX 253
#define ROUTE_LINE 256
#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_MAX 65536
#define SERVERS_MAX 3                                /* the C library asks no more of them */
#define SERVER_SIZE (INET6_ADDRSTRLEN + IF_NAMESIZE) /* fe80::1%eth0 */
#define DNS_HEADER 12
#define DNS_MESSAGE_MAX 512
#define DNS_LABEL_MAX 63
#define DNS_NO_SUCH_NAME 3

/* The host of a URL that env rules have accepted: a new string or NULL. */
static char *url_host(const char *url)
{
    const char *start = url ? strstr(url, "://") : NULL;

    if (!start)
        return NULL;
    start += 3;
    bool bracket = *start == '[';
    size_t len = bracket ? strcspn(++start, "]/") : strcspn(start, ":/?#");
    if (len == 0 || len > HOST_MAX || start[0] == '-' || memchr(start, '@', len))
        return NULL;
    return strndup(start, len);
}

static const char *getent_path(void)
{
    return access("/usr/bin/getent", X_OK) == 0 ? "/usr/bin/getent" : NULL;
}

/* The router that the default route names: a new string or NULL. */
static char *default_router(void)
{
    char line[ROUTE_LINE];
    FILE *routes = fopen("/proc/net/route", "re");
    char *found = NULL;

    while (routes && !found && fgets(line, sizeof(line), routes)) {
        unsigned destination, router;
        struct in_addr address;
        char text[INET_ADDRSTRLEN];

        if (sscanf(line, "%*s %x %x", &destination, &router) != 2 || destination != 0 || router == 0)
            continue;
        address.s_addr = router; /* the kernel prints it in its own order of bytes */
        found = strdup(inet_ntop(AF_INET, &address, text, sizeof(text)));
    }
    if (routes)
        fclose(routes);
    return found;
}

/* As the C library takes it, the name of an interface included. */
static bool is_address(const char *server)
{
    char address[SERVER_SIZE];
    struct in6_addr binary;

    if (inet_pton(AF_INET, server, &binary) == 1)
        return true;
    (void) snprintf(address, sizeof(address), "%.*s", (int) strcspn(server, "%"), server);
    return inet_pton(AF_INET6, address, &binary) == 1;
}

/* The name servers that resolv.conf names: their number. */
static size_t name_servers(char servers[static SERVERS_MAX][SERVER_SIZE])
{
    _cleanup_(freep) char *text = NULL, *path = realpath(RESOLV_CONF, NULL);
    char *state = NULL;
    size_t n = 0;

    if (!path || file_read(path, RESOLV_CONF_MAX, &text, NULL, NULL) < 0)
        return 0;
    for (char *line = strtok_r(text, "\n", &state); line && n < SERVERS_MAX; line = strtok_r(NULL, "\n", &state))
        n += sscanf(line, "nameserver %61s", servers[n]) == 1 && is_address(servers[n]);
    return n;
}

/* A question for a host's IPv4 address (RFC 1035, 4.1): its length, or 0 when no server can be asked for such a name. */
static size_t make_question(const char *host, uint8_t question[static DNS_MESSAGE_MAX])
{
    static const uint8_t type_and_class[] = { 0, 1, 0, 1 };
    size_t n = DNS_HEADER;

    memset(question, 0, DNS_HEADER);
    question[1] = 1; /* its number */
    question[2] = 1; /* with recursion */
    question[5] = 1; /* one question */
    while (*host) {
        size_t len = strcspn(host, ".");

        if (len == 0 || len > DNS_LABEL_MAX || n + len + 1 + sizeof(type_and_class) >= DNS_MESSAGE_MAX)
            return 0;
        question[n++] = (uint8_t) len;
        memcpy(question + n, host, len);
        n += len;
        host += len + (host[len] == '.');
    }
    question[n++] = 0;
    memcpy(question + n, type_and_class, sizeof(type_and_class));
    return n + sizeof(type_and_class);
}

static int connect_server(const char *server)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *found = NULL;
    int fd = -1;

    if (getaddrinfo(server, "53", &hints, &found) != 0)
        return -1;
    fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        closep(&fd);
    freeaddrinfo(found);
    return fd;
}

/* The code of a name server's answer, 0 when it knows the host; negative when it does not answer. */
static int ask_server(const char *server, const char *host)
{
    uint8_t question[DNS_MESSAGE_MAX], answer[DNS_MESSAGE_MAX];
    size_t len = make_question(host, question);
    _cleanup_(closep) int fd = len > 0 ? connect_server(server) : -1;
    struct pollfd p = { .fd = fd, .events = POLLIN };

    if (fd < 0 || send(fd, question, len, MSG_NOSIGNAL) != (ssize_t) len || poll(&p, 1, SERVER_TIMEOUT_MS) <= 0 ||
        recv(fd, answer, sizeof(answer), MSG_DONTWAIT) < DNS_HEADER || answer[1] != question[1])
        return -1;
    return answer[3] & 0x0f;
}

static void finding_of_no_server(const char *host, Finding *f)
{
    _cleanup_(freep) char *router = default_router();

    finding_set(f, VERDICT_FAIL, "Or another name server of the site.", "%s does not resolve: %s names no server", host,
                RESOLV_CONF);
    finding_since_file(f, RESOLV_CONF);
    if (router)
        finding_remedy(f, "echo nameserver %s >>" RESOLV_CONF, router);
}

/* None of the servers that resolv.conf names answers. The file is written, not replaced: it may be a link or mounted. */
static void finding_of_silence(const char *host, char *const *servers, Finding *f)
{
    _cleanup_(freep) char *router = default_router(), *all = strv_join(servers, ", ");

    finding_set(f, VERDICT_FAIL,
                "Or name another server of the site there; if none answers, check the network "
                "(`ip address`, `ip route`).",
                "%s does not resolve: nobody answers at %s, which " RESOLV_CONF " names", host, all ? all : "them");
    if (!router || strv_contains(servers, router) || ask_server(router, host) != 0)
        return;
    finding_since_file(f, RESOLV_CONF);
    finding_remedy(f, "echo \"$(sed 's/^nameserver .*/nameserver %s/' " RESOLV_CONF ")\" >" RESOLV_CONF, router);
}

/* Why a host does not resolve, by what the name servers say; false when that is not it. */
static bool finding_of_servers(const char *host, Finding *f)
{
    char servers[SERVERS_MAX][SERVER_SIZE];
    _cleanup_(strv_freep) char **silent = NULL;
    size_t n = name_servers(servers);

    for (size_t i = 0; i < n; i++) {
        int code = ask_server(servers[i], host);

        if (code < 0 && strv_add(&silent, servers[i]) < 0)
            return false;
        if (code == DNS_NO_SUCH_NAME)
            finding_set(f, VERDICT_FAIL,
                        "Correct CLOUD_BASE_URL and MGMT_GATEWAY_URL in mgmt-agent.env, or have the name added there.",
                        "the name server %s knows no host %s", servers[i], host);
        if (code >= 0)
            return code == DNS_NO_SUCH_NAME;
    }
    if (n == 0)
        finding_of_no_server(host, f);
    else
        finding_of_silence(host, silent, f);
    return true;
}

/* What mgmt-agent knows of the tunnel, or NULL. */
static const cJSON *link_of(const Doctor *d)
{
    return cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "link") : NULL;
}

/* mgmt-link knows since when, where it cannot connect for that reason. */
static void since_the_tunnel(const Doctor *d, Finding *f)
{
    const cJSON *link = link_of(d), *error = cJSON_GetObjectItemCaseSensitive(link, "error");
    const char *since = json_string(link, "since");

    if (f->since == 0 && str_equal(json_string(error, "id"), "stream.resolve") && since &&
        timestamp_parse(since, &f->since) < 0)
        f->since = 0;
}

void check_dns(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *host = d->agent_env ? url_host(env_get(d->agent_env, "CLOUD_BASE_URL")) : NULL;
    _cleanup_(process_result_done) ProcessResult result = {};
    _cleanup_(error_done) Error err = {};
    const char *getent = getent_path();

    if (!host || !getent) {
        finding_set(f, VERDICT_UNKNOWN, "Correct mgmt-agent.env first.",
                    !host ? "the cloud's host is not known: no CLOUD_BASE_URL" : "getent is not installed");
        return;
    }
    const char *const argv[] = { getent, "ahosts", host, NULL };
    const ProcessSpec spec = { .argv = argv, .timeout_usec = DNS_TIMEOUT, .keep_with_parent = true };
    int r = process_run(&spec, NULL, NULL, &result, &err);
    if (r < 0) {
        finding_set(f, VERDICT_UNKNOWN, "Run `getent ahosts` with the host by hand.", "getent could not be run: %s",
                    error_message(&err, r));
        return;
    }
    if (result.timed_out || !WIFEXITED(result.status) || WEXITSTATUS(result.status) != 0 || str_empty(result.out)) {
        if (json_bool(link_of(d), "connected", false) && link_has_proxy()) {
            finding_pass(f, "%s does not resolve here; mgmt-link's proxy knows it, and the tunnel is up", host);
            return;
        }
        if (!finding_of_servers(host, f))
            finding_set(f, VERDICT_FAIL, "Check the network (`ip address`, `ip route`) and " RESOLV_CONF ".",
                        "%s does not resolve%s", host, result.timed_out ? " (no answer in time)" : "");
        since_the_tunnel(d, f);
        return;
    }
    result.out[strcspn(result.out, " \n")] = '\0';
    finding_pass(f, "%s is %s", host, result.out);
}

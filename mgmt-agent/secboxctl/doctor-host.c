/* SPDX-License-Identifier: MIT */
/* doctor: the machine's time synchronisation and name resolution. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "lib/cli/finding-clock.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define DNS_TIMEOUT (20 * USEC_PER_SEC)
#define HOST_MAX 253
#define ROUTE_LINE 256
#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_MAX 65536
#define LOCALTIME "/etc/localtime"

void check_time_sync(Doctor *d, Finding *f)
{
    (void) d;
    finding_of_time_sync(f);
}

void check_time_zone(Doctor *d, Finding *f)
{
    struct stat link, st;
    char magic[4] = "";

    (void) d;
    if (lstat(LOCALTIME, &link) < 0) {
        finding_pass(f, "UTC");
        return;
    }
    int fd = open(LOCALTIME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                read(fd, magic, sizeof(magic)) == sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
    closep(&fd);
    if (good) {
        finding_pass(f, "%s is a time zone", LOCALTIME);
        return;
    }
    finding_set(f, VERDICT_FAIL, "Or the zone in which the box stands (`timedatectl list-timezones`).",
                "%s leads to no time zone, so times are shown in UTC and containers that mount it do not start",
                LOCALTIME);
    f->since = (usec_t) link.st_mtim.tv_sec * USEC_PER_SEC;
    finding_remedy(f, "timedatectl set-timezone UTC");
}

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

/* Whether resolv.conf names no server; then the finding says so. */
static bool names_no_server(const char *host, Finding *f)
{
    _cleanup_(freep) char *text = NULL, *router = default_router(), *path = realpath(RESOLV_CONF, NULL);

    if (path && file_read(path, RESOLV_CONF_MAX, &text, NULL, NULL) >= 0 &&
        (str_starts(text, "nameserver ") || strstr(text, "\nnameserver ")))
        return false;
    finding_set(f, VERDICT_FAIL, "Or another name server of the site.", "%s does not resolve: %s names no server", host,
                RESOLV_CONF);
    finding_since_file(f, RESOLV_CONF);
    if (router)
        finding_remedy(f, "echo nameserver %s >>" RESOLV_CONF, router);
    return true;
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
        if (names_no_server(host, f))
            return;
        finding_set(f, VERDICT_FAIL, "Check the network (`ip address`, `ip route`) and /etc/resolv.conf.",
                    "%s does not resolve%s", host, result.timed_out ? " (no answer in time)" : "");
        return;
    }
    result.out[strcspn(result.out, " \n")] = '\0';
    finding_pass(f, "%s is %s", host, result.out);
}

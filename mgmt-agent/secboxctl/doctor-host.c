/* SPDX-License-Identifier: MIT */
/* doctor: the machine's clock, disks and name resolution. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define SPACE_MIN_BYTES (2ULL << 30)
#define SPACE_MIN_PERCENT 10
#define DNS_TIMEOUT (20 * USEC_PER_SEC)
#define HOST_MAX 253
#define ROUTE_LINE 256
#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_MAX 65536
#define LOCALTIME "/etc/localtime"

/* The program's own file is as old as its build: an earlier clock has lost the time. */
void check_clock(Doctor *d, Finding *f)
{
    char now[TIMESTAMP_SIZE], built[TIMESTAMP_SIZE];
    struct stat st;

    (void) d;
    if (stat("/proc/self/exe", &st) < 0) {
        finding_set(f, VERDICT_UNKNOWN, "Compare `date -u` with a clock you trust.",
                    "the program's own date cannot be read: %s", strerror(errno));
        return;
    }
    usec_t realtime = realtime_usec(), build = (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC;
    timestamp_format(realtime, now);
    timestamp_format(build, built);
    if (realtime < build)
        finding_set(
            f, VERDICT_FAIL,
            "Set the clock (`date -u -s …`) and see `timedatectl`: with it, certificates and tokens are refused.",
            "the clock says %s, this program is from %s", now, built);
    else
        finding_pass(f, "%s", now);
}

void check_time_sync(Doctor *d, Finding *f)
{
    struct timex t = {};
    int state = adjtimex(&t);

    (void) d;
    if (state < 0)
        finding_set(f, VERDICT_UNKNOWN, "See `timedatectl`.", "the kernel does not tell: %s", strerror(errno));
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        finding_set(f, VERDICT_FAIL, "See `timedatectl`; NTP (UDP port 123) must get out.",
                    "the clock is not synchronised");
    else
        finding_pass(f, "the clock is synchronised");
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

static void check_space(const char *path, const char *advice, Finding *f)
{
    struct statvfs fs;

    if (statvfs(path, &fs) < 0) {
        finding_set(f, VERDICT_UNKNOWN, errno == ENOENT ? "It is made when mgmt-agent first starts." : advice, "%s: %s",
                    path, strerror(errno));
        return;
    }
    unsigned long long free_bytes = (unsigned long long) fs.f_bavail * fs.f_frsize;
    unsigned long long percent = fs.f_blocks > 0 ? (unsigned long long) fs.f_bavail * 100 / fs.f_blocks : 0;
    if (free_bytes < SPACE_MIN_BYTES || percent < SPACE_MIN_PERCENT)
        finding_set(f, VERDICT_FAIL, advice, "%s has %.1f GiB free (%llu %%), wanted are %.0f GiB and %d %%", path,
                    (double) free_bytes / (1 << 30), percent, (double) SPACE_MIN_BYTES / (1 << 30), SPACE_MIN_PERCENT);
    else
        finding_pass(f, "%s has %.1f GiB free (%llu %%)", path, (double) free_bytes / (1 << 30), percent);
}

void check_state_space(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *path = path_in_root(STATE_DIR);

    (void) d;
    if (path)
        check_space(path, "Look for what grew with `du -xh --max-depth=2 /var | sort -h`.", f);
}

void check_podman_space(Doctor *d, Finding *f)
{
    const char *path = podman_graph_root(d);

    if (!path) {
        finding_set(f, VERDICT_UNKNOWN, "Make podman answer first: only it knows its folder.",
                    "podman did not tell where its images are");
        return;
    }
    check_space(path, "Remove unused images with `podman image prune` as the podman user.", f);
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

/* SPDX-License-Identifier: MIT */
/* doctor: the session, and the numbers of users and groups, that rootless podman needs. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define LINGER_DIR "/var/lib/systemd/linger"
#define USER_BUS_UNIT "/usr/lib/systemd/user/dbus.socket"
#define RUN_USER "/run/user"
#define SUBID_FILE_MAX (1 << 20)
/* what a container that has users of its own needs */
#define SUBIDS_WANTED 65536
#define SUBIDS_FIRST 100000

/* Whether the podman user is known and not root; else the finding says why there is nothing to check. */
static bool is_rootless(const Doctor *d, Finding *f)
{
    if (!d->user.name)
        finding_set(f, VERDICT_UNKNOWN, "See the check `podman-user`.", "whose podman it is cannot be told");
    else if (d->user.uid == 0)
        finding_pass(f, "root needs none");
    else
        return true;
    return false;
}

void check_lingering(Doctor *d, Finding *f)
{
    struct stat st;

    if (!is_rootless(d, f))
        return;
    _cleanup_(freep) char *path = str_format("%s/%s", LINGER_DIR, d->user.name);
    if (path && stat(path, &st) == 0) {
        finding_pass(f, "the services of %s start with the box and stay", d->user.name);
        return;
    }
    finding_set(f, VERDICT_FAIL, NULL,
                "%s does not linger: its containers end when it logs out, and do not start with the box", d->user.name);
    finding_since_file(f, LINGER_DIR);
    finding_remedy(f, "loginctl enable-linger %s", d->user.name);
}

void check_user_manager(Doctor *d, Finding *f)
{
    _cleanup_(unit_facts_done) UnitFacts u = {};

    if (!is_rootless(d, f))
        return;
    _cleanup_(freep) char *unit = str_format("user@%u", (unsigned) d->user.uid);
    if (!unit || unit_facts(unit, &u) < 0) {
        finding_set(f, VERDICT_UNKNOWN, "See `systemctl status` and `systemctl is-system-running`.",
                    "the service manager does not tell about that of %s", d->user.name);
        return;
    }
    if (str_equal(u.active, "active") && access(d->user.runtime_dir, F_OK) == 0) {
        finding_pass(f, "%s runs", unit);
        return;
    }
    finding_set(f, VERDICT_FAIL, NULL, "%s, the service manager of %s, %s, so no container of it can run", unit,
                d->user.name, str_equal(u.active, "active") ? "has no folder in /run/user" : "is stopped");
    if (u.since > 0)
        f->since = u.since;
    else /* it is forgotten when it ends, and its folder is gone from there */
        finding_since_file(f, RUN_USER);
    finding_remedy(f, "systemctl restart %s", unit);
}

/* A socket file may be left of a bus that is gone. */
static bool bus_answers(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0 || errno == EAGAIN;
}

void check_user_bus(Doctor *d, Finding *f)
{
    if (!is_rootless(d, f))
        return;
    _cleanup_(freep) char *bus = str_format("%s/bus", d->user.runtime_dir);
    _cleanup_(freep) char *as_user =
        str_format("runuser -u %s -- env XDG_RUNTIME_DIR=%s systemctl --user", d->user.name, d->user.runtime_dir);
    if (!bus || !as_user)
        return;
    if (access(d->user.runtime_dir, F_OK) < 0) {
        finding_set(f, VERDICT_UNKNOWN, "See the check `user-manager`.", "%s has no service manager", d->user.name);
    } else if (access(USER_BUS_UNIT, F_OK) < 0) {
        finding_set(f, VERDICT_FAIL, NULL,
                    "dbus-user-session is not installed, so podman cannot use control groups as %s", d->user.name);
        finding_since_file(f, "/usr/lib/systemd/user");
        finding_remedy(f, "apt-get install -y dbus-user-session && %s daemon-reload && %s start dbus.socket", as_user,
                       as_user);
    } else if (!bus_answers(bus)) {
        finding_set(f, VERDICT_FAIL, NULL, "no bus answers at %s, so podman cannot use control groups", bus);
        finding_since_file(f, d->user.runtime_dir);
        finding_remedy(f, "%s restart dbus.socket", as_user);
    } else {
        finding_pass(f, "%s", bus);
    }
}

/* What /etc/subuid or /etc/subgid gives a user, and the first number behind all that are given. */
typedef struct SubIds {
    uint64_t of_user, next;
} SubIds;

static void take_line(SubIds *ids, char *line, const char *name, const char *uid)
{
    char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL;
    uint64_t from, many;

    if (!count)
        return;
    *first++ = *count++ = '\0';
    if (str_to_u64(first, 0, UINT32_MAX, &from) < 0 || str_to_u64(count, 0, UINT32_MAX, &many) < 0)
        return;
    if (from + many > ids->next)
        ids->next = from + many;
    if (str_equal(line, name) || str_equal(line, uid))
        ids->of_user += many;
}

static void check_subids(Doctor *d, const char *path, const char *what, Finding *f)
{
    SubIds ids = { .next = SUBIDS_FIRST };
    _cleanup_(freep) char *text = NULL;
    char *state = NULL;

    if (!is_rootless(d, f))
        return;
    _cleanup_(freep) char *uid = str_format("%u", (unsigned) d->user.uid);
    int r = file_read(path, SUBID_FILE_MAX, &text, NULL, NULL);
    if (r < 0 && r != -ENOENT) {
        finding_set(f, VERDICT_UNKNOWN, "It is a list of lines NAME:FIRST:COUNT.", "%s cannot be read: %s", path,
                    strerror(-r));
        return;
    }
    for (char *line = text ? strtok_r(text, "\n", &state) : NULL; line; line = strtok_r(NULL, "\n", &state))
        take_line(&ids, line, d->user.name, uid);
    if (ids.of_user >= SUBIDS_WANTED) {
        finding_pass(f, "%s has %ju of them", d->user.name, (uintmax_t) ids.of_user);
        return;
    }
    finding_set(f, VERDICT_FAIL, NULL, "%s gives %s %ju subordinate %s, and containers need %d", path, d->user.name,
                (uintmax_t) ids.of_user, what, SUBIDS_WANTED);
    finding_since_file(f, path);
    finding_remedy(f, "usermod --add-sub%s %ju-%ju %s", what, (uintmax_t) ids.next,
                   (uintmax_t) ids.next + SUBIDS_WANTED - 1, d->user.name);
}

void check_subuids(Doctor *d, Finding *f)
{
    check_subids(d, "/etc/subuid", "uids", f);
}

void check_subgids(Doctor *d, Finding *f)
{
    check_subids(d, "/etc/subgid", "gids", f);
}

void check_uidmap(Doctor *d, Finding *f)
{
    if (!is_rootless(d, f))
        return;
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "newuidmap" : "newgidmap";
        _cleanup_(freep) char *path = find_program(name);

        if (path)
            continue;
        finding_set(f, VERDICT_FAIL, NULL, "%s is not installed, so containers of %s cannot have users", name,
                    d->user.name);
        finding_since_file(f, "/usr/bin");
        finding_remedy(f, "apt-get install -y uidmap");
        return;
    }
    finding_pass(f, "newuidmap and newgidmap are there");
}

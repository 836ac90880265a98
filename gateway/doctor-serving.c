/* SPDX-License-Identifier: MIT */
/* doctor: whether the gateway listens where it should, and who does otherwise. */
#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "gateway/doctor.h"
#include "gateway/listen-address.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/net/port-owner.h"

#define OWN_NAME "secbox-gateway"
#define OWN_UNIT OWN_NAME ".service"
#define COMM_MAX 64
#define STATUS_MAX 65536

/* The kernel keeps 15 bytes of a program's name. */
static char *name_of(const char *pid)
{
    _cleanup_(freep) char *path = str_format("/proc/%s/comm", pid);
    char *name = NULL;

    if (!path || file_read(path, COMM_MAX, &name, NULL, NULL) < 0)
        return NULL;
    name[strcspn(name, "\n")] = '\0';
    return name;
}

/* Who has started a process: its folder in /proc is root's whenever the process wants that. */
static bool find_user(const char *pid, uint64_t *ret)
{
    static const char key[] = "\nUid:\t";
    _cleanup_(freep) char *path = str_format("/proc/%s/status", pid), *text = NULL;

    if (!path || file_read(path, STATUS_MAX, &text, NULL, NULL) < 0)
        return false;
    char *at = strstr(text, key);
    if (!at)
        return false;
    at += strlen(key);
    at[strcspn(at, "\t\n")] = '\0';
    return str_to_u64(at, 0, UINT32_MAX, ret) == 0;
}

/* Everybody can give a process our name; only root gives it our unit or our user. */
static bool is_ours(const char *pid, const char *name, const char *unit)
{
    const struct passwd *user = getpwnam(OWN_NAME);
    uint64_t uid;

    if (str_equal(unit, OWN_UNIT))
        return true;
    return str_equal(name, OWN_NAME) && find_user(pid, &uid) && (uid == geteuid() || (user && uid == user->pw_uid));
}

static void of_owner(const char *listen, const char *pid, Finding *f)
{
    _cleanup_(freep) char *name = name_of(pid), *unit = process_unit(pid);

    if (is_ours(pid, name, unit)) {
        finding_pass(f, "process %s listens on %s", pid, listen);
        return;
    }
    _cleanup_(freep) char *end = port_owner_end_command(pid);
    finding_set(f, VERDICT_FAIL, end ? NULL : PORT_OWNER_ADVICE,
                "%s, where the gateway is to listen, is taken by process %s (%s)", listen, pid,
                unit   ? unit
                : name ? name
                       : "unknown");
    finding_since_process(f, pid);
    if (end)
        finding_remedy(f, "%s && systemctl restart secbox-gateway", end);
}

void check_serving(Doctor *d, Finding *f)
{
    char address[LISTEN_ADDRESS_SIZE];
    uint16_t port;

    if (listen_address_parse(d->settings.listen, address, &port, NULL) < 0 || port == 0) {
        finding_set(f, VERDICT_UNKNOWN, "Give --listen a numeric address and a port, like 0.0.0.0:443.",
                    "--listen %s does not say where", d->settings.listen);
        return;
    }
    uint64_t inode = port_listener(address, port);
    _cleanup_(freep) char *pid = inode ? socket_owner(inode) : NULL;
    if (pid)
        of_owner(d->settings.listen, pid, f);
    else if (inode)
        finding_set(f, VERDICT_UNKNOWN, "Run this as root.", "somebody else's process listens on %s",
                    d->settings.listen);
    else {
        finding_set(f, VERDICT_FAIL,
                    "Where it does not stay up, `journalctl -u secbox-gateway` has the reason, as have "
                    "the checks below.",
                    "nobody listens on %s: the gateway does not run", d->settings.listen);
        finding_remedy(f, "systemctl start secbox-gateway");
    }
}

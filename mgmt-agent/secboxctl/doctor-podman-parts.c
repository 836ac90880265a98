/* SPDX-License-Identifier: MIT */
/* doctor: the programs that podman calls, each of which is a package that it only recommends, and how it has set itself up.
 * Looked for without podman, which may be what cannot run for the want of one. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "mgmt-agent/host/rootless-netns.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define TUN "/dev/net/tun"
#define STORAGE_CONF "/etc/containers/storage.conf"

/* where podman looks for helpers */
static const char *const helper_dirs[] = {
    "/usr/local/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/libexec/podman",
    "/usr/lib/podman",
};

/* A member of a member of what podman tells of itself; NULL when it does not. */
static const char *told(const Doctor *d, const char *group, const char *member)
{
    const cJSON *g = cJSON_IsObject(d->podman_info) ? cJSON_GetObjectItemCaseSensitive(d->podman_info, group) : NULL;
    return cJSON_IsObject(g) ? json_string(g, member) : NULL;
}

const char *podman_graph_root(const Doctor *d)
{
    const char *path = told(d, "store", "graphRoot");
    return path && path[0] == '/' ? path : NULL;
}

const char *podman_cgroup_manager(const Doctor *d)
{
    return told(d, "host", "cgroupManager");
}

const char *podman_version(const Doctor *d)
{
    return told(d, "version", "Version");
}

static bool helper_exists(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(helper_dirs); i++) {
        _cleanup_(freep) char *path = str_format("%s/%s", helper_dirs[i], name);

        if (path && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static void finding_of_package(Finding *f, bool there, const char *program, const char *package, const char *without)
{
    if (there) {
        finding_pass(f, "%s is there", program);
        return;
    }
    finding_set(f, VERDICT_FAIL, NULL, "%s is not installed: %s", program, without);
    finding_remedy(f, "apt-get install -y %s", package);
}

void check_runtime(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *crun = find_program("crun"), *runc = find_program("runc");

    (void) d;
    if (crun || runc)
        finding_pass(f, "%s", crun ? crun : runc);
    else
        finding_of_package(f, false, "crun", "crun", "without it no container can be made");
}

/* Set to use CNI's plugins, from before netavark. */
static bool uses_cni(const Doctor *d)
{
    return str_equal(told(d, "host", "networkBackend"), "cni") && access("/usr/lib/cni/bridge", X_OK) == 0;
}

void check_network_backend(Doctor *d, Finding *f)
{
    if (uses_cni(d))
        finding_pass(f, "CNI");
    else
        finding_of_package(f, helper_exists("netavark"), "netavark", "netavark",
                           "without it no container gets a network or a published port");
}

void check_container_dns(Doctor *d, Finding *f)
{
    if (uses_cni(d))
        finding_pass(f, "CNI");
    else
        finding_of_package(f, helper_exists("aardvark-dns"), "aardvark-dns", "aardvark-dns",
                           "without it containers do not find each other by name");
}

/* Debian 12 has podman 4, Debian 13 podman 5, whose parts are others. */
static bool is_podman_5(const Doctor *d)
{
    const char *version = podman_version(d);

    return version && strtol(version, NULL, 10) >= 5;
}

void check_iptables(Doctor *d, Finding *f)
{
    const char *program = is_podman_5(d) ? "nft" : "iptables";
    _cleanup_(freep) char *path = find_program(program);

    finding_of_package(f, path, program, is_podman_5(d) ? "nftables" : program,
                       "without it netavark makes no bridge and publishes no port");
}

void check_init(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *path = find_program("catatonit");

    (void) d;
    finding_of_package(f, path || helper_exists("catatonit"), "catatonit", "catatonit",
                       "without it no container with `init: true` starts");
}

/* mgmt-worker removes it by itself when podman refuses a start for it, unless somebody runs there. */
static bool is_half_made(const Doctor *d, Finding *f)
{
    const char *graphroot = podman_graph_root(d);
    _cleanup_(freep) char *file =
        d->user.runtime_dir && graphroot ? rootless_netns_half_made(&d->user, graphroot, realtime_usec()) : NULL;

    if (!file)
        return false;
    finding_set(f, VERDICT_FAIL, "Then start again what runs on a bridge: it is cut off from what starts now.",
                "podman was killed while it made the network of %s's containers: none starts on a bridge",
                d->user.name);
    finding_since_file(f, file);
    finding_remedy(f, "runuser -u %s -- rm -f %s", d->user.name, file);
    return true;
}

void check_rootless_network(Doctor *d, Finding *f)
{
    const char *told_of = told(d, "host", "rootlessNetworkCmd");
    bool pasta = told_of ? str_equal(told_of, "pasta") : is_podman_5(d);
    const char *wanted = pasta ? "pasta" : "slirp4netns";
    _cleanup_(freep) char *program = find_program(wanted);
    struct stat st;

    if (d->user.name && d->user.uid == 0) {
        finding_pass(f, "root needs none");
    } else if (lstat(TUN, &st) < 0 || !S_ISCHR(st.st_mode) || (st.st_mode & 0006) != 0006) {
        finding_set(f, VERDICT_FAIL, NULL, "%s is not there for everybody: containers of %s reach nothing", TUN,
                    d->user.name ? d->user.name : "a user who is not root");
        finding_since_file(f, TUN);
        finding_remedy(f, "%schmod 0666 %s", access(TUN, F_OK) < 0 ? "modprobe tun && " : "", TUN);
    } else if (!is_half_made(d, f))
        finding_of_package(f, program || helper_exists(wanted), wanted, pasta ? "passt" : wanted,
                           "without it containers of a user who is not root reach nothing");
}

/* How many entries a folder has; 0 when it is not there. */
static unsigned entries_of(const char *path)
{
    DIR *dir = path ? opendir(path) : NULL;
    const struct dirent *entry;
    unsigned n = 0;

    while (dir && (entry = readdir(dir)))
        n += !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..");
    if (dir)
        closedir(dir);
    return n;
}

/* Whether podman's store holds anything: what it was made by cannot be changed then. */
static bool store_is_empty(const Doctor *d)
{
    const cJSON *store = cJSON_GetObjectItemCaseSensitive(d->podman_info, "store");
    const cJSON *containers = cJSON_GetObjectItemCaseSensitive(store, "containerStore"),
                *images = cJSON_GetObjectItemCaseSensitive(store, "imageStore");
    uint64_t n_containers, n_images;

    return json_u64(containers, "number", &n_containers) == 0 && json_u64(images, "number", &n_images) == 0 &&
           n_containers == 0 && n_images == 0 && entries_of(json_string(store, "volumePath")) == 0;
}

/* podman 4.3 chooses vfs for a user who is not root when no storage.conf names another. */
void check_store_driver(Doctor *d, Finding *f)
{
    const char *driver = told(d, "store", "graphDriverName");
    _cleanup_(freep) char *as_user =
        d->user.uid == 0 ? strdup("")
                         : str_format("runuser -u %s -- env XDG_RUNTIME_DIR=%s ", d->user.name, d->user.runtime_dir);

    if (!driver) {
        finding_set(f, VERDICT_UNKNOWN, "See the check `podman`.", "podman does not tell");
    } else if (!str_equal(driver, "vfs")) {
        finding_pass(f, "%s", driver);
    } else if (!store_is_empty(d)) {
        finding_pass(f,
                     "vfs: each layer of an image is a whole copy, which takes room; a store that is in use stays so");
    } else {
        finding_set(f, VERDICT_FAIL, "Nothing is lost: the store is empty.",
                    "podman would store images by vfs, where each layer is a whole copy");
        finding_since_file(f, podman_graph_root(d));
        if (as_user && access(STORAGE_CONF, F_OK) < 0)
            finding_remedy(f,
                           "printf '%%s\\n' '[storage]' 'driver = \"overlay\"' 'runroot = \"/run/containers/storage\"' "
                           "'graphroot = \"/var/lib/containers/storage\"' >" STORAGE_CONF
                           " && %spodman system reset --force",
                           as_user);
    }
}

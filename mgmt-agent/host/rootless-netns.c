/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/rootless-netns.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/data/digest.h"

/* of the hash of the store's folder, in hexadecimal */
#define HASH_DIGITS 20
/* podman waits a second for the program that connects it */
#define MAKING_SECONDS 15

char **rootless_netns_files(const PodmanUser *user, const char *graphroot)
{
    _cleanup_(strv_freep) char **files = NULL;
    _cleanup_(freep) char *folder = str_format("%s/libpod", graphroot);
    char hash[SHA256_HEX_SIZE];

    if (!folder || sha256_hex(folder, strlen(folder), hash) < 0 ||
        strv_addf(&files, "%s/netns/rootless-netns-%.*s", user->runtime_dir, HASH_DIGITS, hash) < 0 ||
        strv_addf(&files, "%s/containers/networks/rootless-netns/rootless-netns", user->runtime_dir) < 0)
        return NULL;
    return TAKE_PTR(files);
}

/* What podman 4 and 5 make last. */
static char *last_part(const PodmanUser *user, bool first)
{
    return str_format("%s/%s", user->runtime_dir,
                      first ? "libpod/tmp/rootless-netns/run/systemd"
                            : "containers/networks/rootless-netns/resolv.conf");
}

char *rootless_netns_half_made(const PodmanUser *user, const char *graphroot, usec_t now)
{
    _cleanup_(strv_freep) char **files = rootless_netns_files(user, graphroot);

    for (size_t i = 0; files && files[i]; i++) {
        _cleanup_(freep) char *last = last_part(user, i == 0);
        struct stat st;

        if (last && lstat(files[i], &st) == 0 && access(last, F_OK) < 0 &&
            now / USEC_PER_SEC > (usec_t) st.st_ctim.tv_sec + MAKING_SECONDS)
            return strdup(files[i]);
    }
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/host-mode.h"

#include <sys/stat.h>

#include "lib/base/find-program.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

/* by `systemctl enable`; podman may be there for something else */
#define ENABLED_UNIT "/etc/systemd/system/multi-user.target.wants/secbox.service"

static bool is_link(const char *path)
{
    _cleanup_(freep) char *link = path_in_root(path);
    struct stat st;

    return link && lstat(link, &st) == 0 && S_ISLNK(st.st_mode);
}

bool box_is_without_containers(void)
{
    _cleanup_(freep) char *podman = find_program("podman");

    return is_link(RELEASE_DIR "/current") && (!podman || is_link(ENABLED_UNIT));
}

/* SPDX-License-Identifier: MIT */
/* Links to files of host keys. */
#include "gateway/fleet/known-hosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define FOLDER "known_hosts.d"

/* '@' is in no box's id. */
static char *keys_path(const char *device, const char *suffix)
{
    _cleanup_(freep) char *folder = fleet_config_path(FOLDER);
    /* a name on the command line could be anything */
    bool is_name = device[0] != '.' && !strchr(device, '/') && !strchr(device, '@');

    if (!folder || !is_name || dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL) < 0)
        return NULL;
    return str_format("%s/%s%s", folder, device, suffix);
}

char *known_hosts_link(const char *device)
{
    return keys_path(device, "");
}

void known_hosts_use(const char *link, const char *device, bool recovery)
{
    _cleanup_(freep) char *own = link ? NULL : known_hosts_link(device);
    _cleanup_(freep) char *target = keys_path(device, recovery ? "@recovery" : "@host");
    const char *at = link ? link : own;
    _cleanup_(freep) char *fresh = at ? str_format("%s@%d", at, (int) getpid()) : NULL;

    if (!fresh || !target || (symlink(target, fresh) < 0 && errno != EEXIST) || rename(fresh, at) < 0)
        fprintf(stderr, "%s: the file of host keys cannot be set: %s\n", PROGRAM, strerror(errno));
}

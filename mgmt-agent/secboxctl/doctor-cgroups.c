/* SPDX-License-Identifier: MIT */
/* doctor: what podman makes control groups with, and the line of which file has it so. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define GREP_WORDS 5
#define SETTING "^[[:space:]]*cgroup_manager[[:space:]]*=[[:space:]]*.cgroupfs" /* the dot is either quote */

/* The last of the files, in the order in which podman reads them, that chooses: a new string or NULL. It is looked for with the
 * user's rights, since part of them are the user's own. */
static char *file_that_chooses(Doctor *d)
{
    _cleanup_(freep) char *of_user = str_format("%s/.config/containers/containers.conf", d->user.home),
                          *more_of_user = str_format("%s.d", of_user ? of_user : "");
    const char *const places[] = { "/etc/containers/containers.conf", "/etc/containers/containers.conf.d", of_user,
                                   more_of_user };
    const char *argv[ELEMENTSOF(places) + GREP_WORDS + 1] = { "/bin/grep", "-rlE", "--include=*.conf", "--devices=skip",
                                                              SETTING };
    size_t n = GREP_WORDS;

    for (size_t i = 0; i < ELEMENTSOF(places); i++) /* grep takes one that is not there for a failure of its own */
        if (places[i] && access(places[i], F_OK) == 0)
            argv[n++] = places[i];
    _cleanup_(freep) char *said = n > GREP_WORDS ? says_as_user(d, argv) : NULL;
    char *state = NULL, *last = NULL;

    for (char *line = said ? strtok_r(said, "\n", &state) : NULL; line; line = strtok_r(NULL, "\n", &state))
        last = line;
    return last && is_podmans_config(last) ? strdup(last) : NULL;
}

/* Whether file and folder are root's; in a folder of the user's, root changes nothing. */
static bool is_roots(const char *path)
{
    _cleanup_(freep) char *folder = strndup(path, (size_t) (strrchr(path, '/') - path));
    struct stat file, around;

    return folder && lstat(path, &file) == 0 && lstat(folder, &around) == 0 && file.st_uid == 0 && around.st_uid == 0;
}

void check_cgroup_manager(Doctor *d, Finding *f)
{
    const char *manager = podman_cgroup_manager(d);

    if (!manager) {
        finding_set(f, VERDICT_UNKNOWN, "See the check `podman`.", "podman does not tell");
        return;
    }
    if (str_equal(manager, "systemd") || d->user.uid == 0) {
        finding_pass(f, "%s", manager);
        return;
    }
    _cleanup_(freep) char *path = file_that_chooses(d);
    finding_set(f, VERDICT_FAIL,
                path ? NULL
                     : "See the checks `user-manager` and `user-bus`; and look for cgroup_manager in containers.conf.",
                "podman uses %s, not systemd%s%s: limits have no effect, and what ends a session ends containers",
                manager, path ? ", as it is written in " : "", path ? path : "");
    if (!path)
        return;
    finding_since_file(f, path);
    if (is_roots(path))
        finding_remedy(f, "sed -i '/" SETTING "/s/^/#/' %s", path);
    else
        finding_remedy(f, "runuser -u %s -- sed -i '/" SETTING "/s/^/#/' %s", d->user.name, path);
}

/* SPDX-License-Identifier: MIT */
/* doctor: whether containers see the volumes' folder nosuid,nodev. One that was made before it was mounted so does not, nor
 * does any container of a podman whose mount namespace got the mount without its flags, as from mount(8). */
#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/text.h"
#include "mgmt-agent/host/volume-mounts.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define MOUNTINFO_MAX (4U << 20)
#define MOUNT_ANEW "systemctl restart var-lib-tucomunidad-volumes.mount"

typedef struct Volumes {
    FolderPlaces places;
    char **bare;       /* "web at /data" */
    char **containers; /* their names */
    char *since;       /* the first one's process */
} Volumes;

static void volumes_done(Volumes *v)
{
    volume_places_done(&v->places);
    strv_free(v->bare);
    strv_free(v->containers);
    free(v->since);
}

static char *mounts_of(const char *pid)
{
    _cleanup_(freep) char *path = str_format("/proc/%s/mountinfo", pid);
    char *text = NULL;

    return path && file_read(path, MOUNTINFO_MAX, &text, NULL, NULL) >= 0 ? text : NULL;
}

/* A container that has ended by now has no mounts. */
static int look_into(Volumes *v, const char *pid, const char *name)
{
    _cleanup_(freep) char *mounts = mounts_of(pid);
    _cleanup_(strv_freep) char **where = NULL;
    int r = mounts ? volume_mounts_find_bare(&v->places, mounts, &where) : 0;

    if (r < 0 || !where)
        return r;
    _cleanup_(freep) char *all = strv_join(where, ", ");
    r = all ? strv_addf(&v->bare, "%s at %s", name, all) : -ENOMEM;
    if (r >= 0)
        r = strv_add(&v->containers, name);
    if (r >= 0 && !v->since)
        v->since = strdup(pid);
    return r;
}

/* "4711 secbox_web_1" on each line */
static int look_into_all(Volumes *v, char *said)
{
    char *state = NULL;
    int r = 0;

    for (char *line = strtok_r(said, "\n", &state); line && r >= 0; line = strtok_r(NULL, "\n", &state)) {
        char *name = strchr(line, ' ');
        uint64_t number;

        if (!name)
            continue;
        *name++ = '\0';
        if (str_to_u64(line, 1, INT32_MAX, &number) == 0)
            r = look_into(v, line, name);
    }
    return r;
}

static void tell(Doctor *d, const Volumes *v, Finding *f)
{
    _cleanup_(freep) char *bare = v->bare ? strv_join(v->bare, "; ") : NULL,
                          *restart =
                              v->containers ? podman_command(d, "restart", (const char *const *) v->containers) : NULL;

    if (!v->bare && v->places.flags) {
        finding_pass(f, VOLUMES_DIR " is nosuid,nodev, in containers, too");
        return;
    }
    finding_set(f, VERDICT_FAIL,
                "Until then a program or device that a container leaves there gives whoever finds it on this machine "
                "root's power.",
                "%s%s%s",
                v->places.flags ? "a container sees its folder in " VOLUMES_DIR " without nosuid,nodev"
                                : VOLUMES_DIR " is not mounted nosuid,nodev",
                bare ? ": " : "", bare ? bare : "");
    if (v->since)
        finding_since_process(f, v->since);
    if (!v->bare || restart)
        finding_remedy(f, MOUNT_ANEW "%s%s", restart ? " && " : "", restart ? restart : "");
}

void check_volumes(Doctor *d, Finding *f)
{
    const char *const ask[] = { "ps", "--filter", "label=io.tucomunidad.service", "--format", "{{.Pid}} {{.Names}}",
                                NULL };
    _cleanup_(volumes_done) Volumes v = {};
    _cleanup_(freep) char *said = d->podman_info ? podman_says(d, ask) : NULL, *mounts = mounts_of("self");

    if (!said || !mounts) {
        finding_set(f, VERDICT_UNKNOWN, "See the check `podman`.", "podman did not tell which containers run");
        return;
    }
    if (volume_places_parse(mounts, VOLUMES_DIR, &v.places) < 0 || look_into_all(&v, said) < 0) {
        finding_set(f, VERDICT_UNKNOWN, NULL, "the mounts of this machine cannot be read");
        return;
    }
    tell(d, &v, f);
}

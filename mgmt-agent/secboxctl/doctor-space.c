/* SPDX-License-Identifier: MIT */
/* doctor: room on the disks, for bytes and for files, and what can go. */
#include <errno.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define SPACE_MIN_BYTES (2ULL << 30)
#define SPACE_MIN_PERCENT 10
#define FILES_MIN_PERCENT 5
/* a folder with more entries is not counted to its end */
#define COUNT_MAX 1000000
#define JOURNAL_KEPT_BYTES (64ULL << 20)

typedef struct Room {
    unsigned long long bytes, bytes_percent, bytes_missing;
    unsigned long long files, files_percent, files_missing;
} Room;

/* What may go without a loss, and what makes it go. */
static const struct {
    const char *folder, *command;
    unsigned long long kept; /* bytes that stay */
} spare[] = {
    { "/var/cache/apt/archives", "apt-get clean", 0 },
    { "/var/log/journal", "journalctl --vacuum-size=64M", JOURNAL_KEPT_BYTES },
};

static unsigned long long missing(unsigned long long have, unsigned long long want)
{
    return have < want ? want - have : 0;
}

static Room room_of(const struct statvfs *fs)
{
    unsigned long long size = (unsigned long long) fs->f_blocks * fs->f_frsize;
    Room room = { .bytes = (unsigned long long) fs->f_bavail * fs->f_frsize, .files = fs->f_favail };
    unsigned long long by_size = missing(room.bytes, size / 100 * SPACE_MIN_PERCENT);

    room.bytes_percent = size > 0 ? room.bytes * 100 / size : 0;
    room.bytes_missing = missing(room.bytes, SPACE_MIN_BYTES);
    if (by_size > room.bytes_missing)
        room.bytes_missing = by_size;
    room.files_percent = 100;
    if (fs->f_files > 0) { /* some file systems have no bound */
        room.files_percent = room.files * 100 / fs->f_files;
        room.files_missing = missing(room.files, (unsigned long long) fs->f_files / 100 * FILES_MIN_PERCENT);
    }
    return room;
}

/* What lies in a folder, on its own file system. */
static void measure(const char *folder, unsigned long long *bytes, unsigned long long *files)
{
    _cleanup_(freep) char *name = strdup(folder);
    char *const roots[] = { name, NULL };
    FTS *walk = name ? fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL) : NULL;
    const FTSENT *entry;

    *bytes = *files = 0;
    while (walk && *files < COUNT_MAX && (entry = fts_read(walk)))
        if (entry->fts_info == FTS_F) {
            *bytes += (unsigned long long) entry->fts_statp->st_blocks * 512;
            ++*files;
        }
    if (walk)
        fts_close(walk);
}

/* The command that makes enough room on the file system of `path`; NULL when none does. */
static const char *command_for(const char *path, const Room *room)
{
    struct stat here, there;

    for (size_t i = 0; i < ELEMENTSOF(spare); i++) {
        unsigned long long bytes, files;

        if (stat(path, &here) < 0 || stat(spare[i].folder, &there) < 0 || here.st_dev != there.st_dev)
            continue;
        measure(spare[i].folder, &bytes, &files);
        bytes = missing(spare[i].kept, bytes); /* what is above it */
        if (bytes >= room->bytes_missing && files >= room->files_missing)
            return spare[i].command;
    }
    return NULL;
}

static void check_space(const char *path, const char *advice, Finding *f)
{
    struct statvfs fs;

    if (statvfs(path, &fs) < 0) {
        finding_set(f, VERDICT_UNKNOWN, errno == ENOENT ? "It is made when mgmt-agent first starts." : advice, "%s: %s",
                    path, strerror(errno));
        return;
    }
    Room room = room_of(&fs);
    const char *command = room.bytes_missing > 0 || room.files_missing > 0 ? command_for(path, &room) : NULL;
    if (room.bytes_missing > 0)
        finding_set(f, VERDICT_FAIL, command ? NULL : advice,
                    "%s has %.1f GiB free (%llu %%), wanted are %.0f GiB and %d %%", path,
                    (double) room.bytes / (1 << 30), room.bytes_percent, (double) SPACE_MIN_BYTES / (1 << 30),
                    SPACE_MIN_PERCENT);
    else if (room.files_missing > 0)
        finding_set(f, VERDICT_FAIL,
                    command ? NULL : "Look for where they are with `du -x --inodes --max-depth=2 / | sort -n`.",
                    "%s has room for %llu more files (%llu %% of its inodes), wanted are %d %%", path, room.files,
                    room.files_percent, FILES_MIN_PERCENT);
    else
        finding_pass(f, "%s has %.1f GiB free (%llu %%)", path, (double) room.bytes / (1 << 30), room.bytes_percent);
    if (command)
        finding_remedy(f, "%s", command);
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
    check_space(
        path, "See what takes the room with `podman system df -v` as the podman user: images, containers, volumes.", f);
}

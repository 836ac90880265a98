/* SPDX-License-Identifier: MIT */
/* doctor: why podman does not answer, and what mends what it says. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/net/port-owner.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define LINE_MAX_BYTES 256
#define PATH_BYTES 4096
#define COMM_MAX 64

/* Whether a path is a lock of podman's, of whichever user. */
static bool is_podmans_lock(const char *path)
{
    return (strstr(path, "/containers/") || strstr(path, "/libpod/")) &&
           (str_ends(path, "lock") || str_ends(path, ".lck"));
}

/* The lock of podman's among the open files of a process: a new string or NULL. */
static char *lock_of(int pid, uint64_t inode)
{
    _cleanup_(freep) char *folder = str_format("/proc/%d/fd", pid);
    char *found = NULL;
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;

    while (dir && !found && (entry = readdir(dir))) {
        char target[PATH_BYTES];
        struct stat st;
        _cleanup_(freep) char *link = str_format("%s/%s", folder, entry->d_name);
        ssize_t n = link ? readlink(link, target, sizeof(target) - 1) : -1;

        if (n <= 0 || stat(link, &st) < 0 || st.st_ino != inode)
            continue;
        target[n] = '\0';
        if (is_podmans_lock(target))
            found = strdup(target);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* "14: POSIX  ADVISORY  WRITE 4711 fe:01:131 0 EOF": whether it is a lock of podman's that keeps others out. The device is not
 * compared: that of a file on overlay or btrfs has another number here than in its stat. */
static bool holder_in_line(const char *line, int *ret_pid, char **ret_path)
{
    uintmax_t inode;
    int pid;

    if (strstr(line, "->") || sscanf(line, "%*u: %*s %*s WRITE %d %*x:%*x:%ju", &pid, &inode) != 2 || pid <= 0)
        return false;
    *ret_path = lock_of(pid, inode);
    *ret_pid = pid;
    return *ret_path != NULL;
}

/* The process that holds a lock of podman's; false when there is none. */
static bool find_holder(int *ret_pid, char **ret_path)
{
    char line[LINE_MAX_BYTES];
    FILE *locks = fopen("/proc/locks", "re");
    bool found = false;

    while (locks && !found && fgets(line, sizeof(line), locks))
        found = holder_in_line(line, ret_pid, ret_path);
    if (locks)
        fclose(locks);
    return found;
}

void finding_of_hang(const Doctor *d, Finding *f)
{
    _cleanup_(freep) char *path = NULL, *comm = NULL, *marker = podman_user_marker();
    int pid;

    (void) d;
    if (!find_holder(&pid, &path)) {
        finding_set(f, VERDICT_FAIL, "Run `podman info` as the podman user, and `strace -f` on it.",
                    "podman does not answer, and nobody holds a lock of its");
        return;
    }
    _cleanup_(freep) char *comm_path = str_format("/proc/%d/comm", pid), *number = str_format("%d", pid);
    bool ours = marker && number && podman_user_marks(number, marker);
    _cleanup_(freep) char *end = number && !ours ? process_kill_command(number) : NULL;
    if (comm_path && file_read(comm_path, COMM_MAX, &comm, NULL, NULL) >= 0)
        comm[strcspn(comm, "\n")] = '\0';
    finding_set(
        f, VERDICT_FAIL,
        ours ? "Wait for it: mgmt-agent has started it, and ends it when it takes too long; killed half-way it may "
               "leave the store locked or damaged."
             : NULL,
        "podman does not answer: process %d (%s) holds %s", pid, comm ? comm : "?", path);
    if (number)
        finding_since_process(f, number);
    if (end)
        finding_remedy(f, "%s", end);
}

/* The sentence is of a program that runs as another user, who can make it say anything. */
bool is_podmans_config(const char *path)
{
    _cleanup_(freep) char *real = realpath(path, NULL);

    return text_is_shell_word(path) && strstr(path, "/containers/") && str_ends(path, ".conf") && str_equal(real, path);
}

/* The configuration file that a sentence names: a new string or NULL. */
static char *config_in(const char *text)
{
    for (const char *at = strchr(text, '/'); at; at = strchr(at, '/')) {
        size_t len = strcspn(at, " \t\"'`:;,()");
        _cleanup_(freep) char *path = strndup(at, len);

        if (path && is_podmans_config(path))
            return TAKE_PTR(path);
        at += len;
    }
    return NULL;
}

void finding_of_podman_error(const Doctor *d, Finding *f)
{
    _cleanup_(freep) char *path = f->detail ? config_in(f->detail) : NULL;

    (void) d;
    if (!path)
        return;
    finding_since_file(f, path);
    finding_remedy(f, "mv %s %s.broken", path, path);
}

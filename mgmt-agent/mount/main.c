/* SPDX-License-Identifier: MIT */
/* mount.secbox: mount(8) runs it for the type `secbox`, which is a folder over itself, with what is mounted below it.
 *
 * mount(8) itself binds first and sets the flags behind that, at least before 2.39. A rootless podman lives in a mount
 * namespace of its own, which gets the mount as it is when it appears, and never hears of flags that follow: in its
 * containers a program of root's would give power after all. Here the mount has its flags before anybody sees it. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/cli/cli.h"

static const struct {
    const char *name;
    uint64_t flag;
} known[] = {
    { "rw", 0 },
    { "nosuid", MOUNT_ATTR_NOSUID },
    { "nodev", MOUNT_ATTR_NODEV },
    { "noexec", MOUNT_ATTR_NOEXEC },
    { "ro", MOUNT_ATTR_RDONLY },
};

static bool take_option(const char *name, uint64_t *flags)
{
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(name, known[i].name)) {
            *flags |= known[i].flag;
            return true;
        }
    fprintf(stderr, "mount.secbox: the option %s is not known; leave it out of Options=\n", name);
    return false;
}

static bool take_options(char *list, uint64_t *flags)
{
    char *state = NULL;
    bool ok = true;

    for (char *name = strtok_r(list, ",", &state); name; name = strtok_r(NULL, ",", &state))
        ok = take_option(name, flags) && ok;
    return ok;
}

/* Nobody sees the copy before it is complete. Apart from the folder itself, so that what is mounted below it stays there
 * when the copy goes. */
static int mount_over(const char *from, const char *over, uint64_t flags)
{
    struct mount_attr attr = { .attr_set = flags, .propagation = MS_PRIVATE };
    int fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE), r = 0;

    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
        move_mount(fd, "", AT_FDCWD, over, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        r = -errno;
    if (fd >= 0)
        close(fd);
    return r;
}

int main(int argc, char **argv)
{
    uint64_t flags = 0;
    int c;

    /* the words that mount(8) has for its helpers */
    while ((c = getopt(argc, argv, "o:t:v")) != -1)
        if (c == '?' || (c == 'o' && !take_options(optarg, &flags)))
            return EXIT_USAGE;
    if (argc - optind != 2) {
        fprintf(stderr, "mount.secbox: mount(8) runs it: mount -t secbox -o nosuid,nodev FOLDER FOLDER\n");
        return EXIT_USAGE;
    }
    int r = mount_over(argv[optind], argv[optind + 1], flags);
    if (r == 0)
        return EXIT_OK;
    fprintf(stderr, "mount.secbox: cannot mount %s over %s: %s%s\n", argv[optind], argv[optind + 1], strerror(-r),
            r == -ENOSYS  ? " (it takes Linux 5.12)"
            : r == -EPERM ? " (only root may)"
                          : "");
    return EXIT_FAILED;
}

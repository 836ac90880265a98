/* SPDX-License-Identifier: MIT */
/* Whatever somebody sends as the files of a push: only files and folders come out of it, which nobody else may change, and none
 * beside the folder. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/data/bundle.h"

#define FOLDERS_OPEN 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void) path;
    (void) kind;
    (void) at;
    if ((!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) || (st->st_mode & 07022))
        abort();
    return 0;
}

/* libarchive forgets 32 bytes where it has none for what comes next; a worker that it happens to ends right afterwards */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:archive_read_open_memory2\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char parent[sizeof("/dev/shm/secbox-fuzz-XXXXXX")];
    char folder[sizeof(parent) + sizeof("/tree")];

    /* libarchive may have left it in the middle (starve.c) */
    if (parent[0] && (chdir("/") < 0 || dir_remove(parent, NULL) < 0))
        abort();
    if (!mkdtemp(memcpy(parent, "/dev/shm/secbox-fuzz-XXXXXX", sizeof(parent))))
        abort();
    (void) snprintf(folder, sizeof(folder), "%s/tree", parent);
    if (mkdir(folder, 0700) < 0)
        abort();
    (void) !bundle_unpack((const char *) data, size, folder, NULL);
    /* the parent can be removed: nothing is beside the folder */
    if (nftw(folder, look, FOLDERS_OPEN, FTW_PHYS) != 0 || dir_remove(folder, NULL) < 0 || rmdir(parent) < 0)
        abort();
    return 0;
}

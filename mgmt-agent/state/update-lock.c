/* SPDX-License-Identifier: MIT */
/* The first line of one file. */

#include "mgmt-agent/state/update-lock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "mgmt-agent/state/project.h"

#define HOLDER_MAX 512

#define LOCK_PATH RUN_DIR "/update-lock"

/* Of the project that is looked at. */
static char *lock_path(void)
{
    _cleanup_(freep) char *path = project_is_own() ? NULL : str_format(LOCK_PATH ".%s", project_selected());

    return project_is_own() || path ? path_in_root(path ? path : LOCK_PATH) : NULL;
}

static int read_lock(const char *path, char **ret)
{
    _cleanup_(freep) char *text = NULL;
    int r = path ? file_read(path, HOLDER_MAX, &text, NULL, NULL) : -ENOMEM;

    if (r == -ENOENT)
        return 0;
    /* one that cannot be read is still held by somebody */
    if (r == 0)
        text[strcspn(text, "\n")] = '\0';
    *ret = str_empty(text) ? strdup("somebody who left no name") : text_printable(text);
    return 1;
}

int update_lock_read(char **ret)
{
    _cleanup_(freep) char *of_box = path_in_root(LOCK_PATH), *path = lock_path();
    int r = read_lock(of_box, ret);

    return r == 0 && !project_is_own() ? read_lock(path, ret) : r;
}

int update_lock_take(const char *holder, Error *err)
{
    _cleanup_(freep) char *path = lock_path();
    _cleanup_(freep) char *other = NULL;
    _cleanup_(freep) char *line = str_format("%.*s\n", HOLDER_MAX - 2, holder);

    if (!path || !line)
        return error_set(err, ENOMEM, "update.locked", "no memory");
    if (path && read_lock(path, &other) > 0)
        return error_set(err, EEXIST, "update.locked", "updates are held already by %s", other ? other : "somebody");
    return file_write_atomic(path, line, strlen(line), 0644, (uid_t) -1, (gid_t) -1, err);
}

int update_lock_release(Error *err)
{
    _cleanup_(freep) char *path = lock_path();

    return path ? file_remove(path, err) : error_set(err, ENOMEM, "update.locked", "no memory");
}

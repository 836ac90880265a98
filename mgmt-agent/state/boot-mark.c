/* SPDX-License-Identifier: MIT */
/* The id is compared although /run is emptied by a boot: the folder may be a lasting one elsewhere. */
#include "mgmt-agent/state/boot-mark.h"

#include <errno.h>
#include <string.h>

#include "lib/base/boot-id.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define MARKER_PATH RUN_DIR "/boot"

bool boot_is_new(void)
{
    _cleanup_(freep) char *path = path_in_root(MARKER_PATH);
    _cleanup_(freep) char *boot_id = boot_id_read();
    _cleanup_(freep) char *seen = NULL;

    return !path || !boot_id || file_read(path, 128, &seen, NULL, NULL) < 0 || !str_equal(seen, boot_id);
}

void boot_remember(void)
{
    _cleanup_(freep) char *path = path_in_root(MARKER_PATH);
    _cleanup_(freep) char *boot_id = boot_id_read();
    _cleanup_(error_done) Error err = {};
    int r = path && boot_id ? file_write_atomic(path, boot_id, strlen(boot_id), 0644, (uid_t) -1, (gid_t) -1, &err)
                            : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot note that this boot's containers were started");
}

/* SPDX-License-Identifier: MIT */
/* recovery-agent judges a box by what it is there to run, and may neither ask us (we may hang) nor read our folder. So the names
 * lie in a file of its own on a memory file system: a first line that says what it is, then one service a line. It is gone
 * after a boot, and whoever reads it has to live without it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/agent.h"

static int add_names(Buf *b, const Current *current)
{
    int r = buf_puts(b, SERVICE_NAMES_HEAD "\n");

    for (size_t i = 0; r == 0 && current && i < current->n_services; i++)
        if (current->services[i].name)
            r = buf_printf(b, "%s\n", current->services[i].name);
    return r;
}

static int write_names(const char *path, Error *err)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(freep) char *before = NULL;
    Buf b = BUF_INIT(JSON_SIZE_MAX);
    int r = current_load(&current, err);

    if (r == 0)
        r = add_names(&b, current);
    if (r == 0 && file_read(path, JSON_SIZE_MAX, &before, NULL, NULL) == 0 && str_equal(before, b.data)) {
        buf_done(&b);
        return 0;
    }
    if (r == 0)
        r = file_write_atomic(path, b.data, b.len, 0644, (uid_t) -1, (gid_t) -1, err);
    buf_done(&b);
    return r;
}

void agent_publish_services(void)
{
    _cleanup_(freep) char *path = path_in_root(SERVICE_NAMES_PATH);
    _cleanup_(error_done) Error err = {};
    int r = path ? write_names(path, &err) : -ENOMEM;

    if (r == 0)
        return;
    log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "recovery-agent is not told what this box runs");
    if (path) /* no list is better than a wrong one */
        (void) unlink(path);
}

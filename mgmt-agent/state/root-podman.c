/* SPDX-License-Identifier: MIT */
/* A rootless container's folder belongs to its user, whatever that user's name is today. */
#include "mgmt-agent/state/root-podman.h"

#include <sys/stat.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/project.h"

static bool has_container_of_root(const Current *deployed)
{
    for (size_t i = 0; deployed && i < deployed->n_services; i++) {
        const char *folder = deployed->services[i].static_dir;
        struct stat st;

        if (!str_empty(folder) && lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0)
            return true;
    }
    return false;
}

bool root_podman_is_used(void)
{
    _cleanup_(strv_freep) char **others = NULL;
    Journal journal = {};
    bool used = false;

    if (project_list(&others) < 0)
        return false;
    for (size_t i = 0; !used && i <= strv_length(others); i++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(i == 0 ? NULL : others[i - 1]);
        _cleanup_(current_freep) Current *current = NULL;

        used = current_load(&current, NULL) == 0 && has_container_of_root(current);
    }

    if (!used && journal_load(&journal, NULL) == 0)
        used = has_container_of_root(journal.project);
    journal_done(&journal);
    return used;
}

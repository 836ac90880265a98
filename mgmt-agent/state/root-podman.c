/* SPDX-License-Identifier: MIT */
/* A rootless container's folder belongs to its user, whatever that user's name is today. */
#include "mgmt-agent/state/root-podman.h"

#include <sys/stat.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/snapshot-store.h"

static bool has_container_of_root(const cJSON *deployed)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(deployed, "services")) {
        const char *folder = json_string(service, "staticDir");
        struct stat st;

        if (!str_empty(folder) && lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0)
            return true;
    }
    return false;
}

bool root_podman_is_used(void)
{
    _cleanup_(cJSON_Deletep) cJSON *current = NULL;
    Journal journal = {};
    bool used = store_load_current(&current, NULL) == 0 && has_container_of_root(current);

    if (!used && journal_load(&journal, NULL) == 0)
        used = has_container_of_root(journal.project);
    journal_done(&journal);
    return used;
}

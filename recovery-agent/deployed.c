/* SPDX-License-Identifier: MIT */
/* A file on a memory file system: reading it waits for nobody, whatever has become of mgmt-agent, podman and the disk. */
#include "recovery-agent/deployed.h"

#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define LIST_SIZE_MAX (64 * 1024)

Deployed deployed_judge(const char *text, const char *service)
{
    const char *line = text;
    size_t len = strlen(service);
    if (!str_starts(text, SERVICE_NAMES_HEAD "\n"))
        return DEPLOYED_UNKNOWN;
    for (line += strlen(SERVICE_NAMES_HEAD "\n"); *line; line += strcspn(line, "\n") + 1) {
        if (!strchr(line, '\n')) /* cut off: what is missing may be the one */
            return DEPLOYED_UNKNOWN;
        if (strncmp(line, service, len) == 0 && line[len] == '\n')
            return DEPLOYED_YES;
    }
    return DEPLOYED_NO;
}

Deployed deployed_read(const char *service)
{
    _cleanup_(freep) char *path = path_in_root(SERVICE_NAMES_PATH), *text = NULL;
    if (!path || file_read(path, LIST_SIZE_MAX, &text, NULL, NULL) < 0)
        return DEPLOYED_UNKNOWN;
    return deployed_judge(text, service);
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/podman/podman-disk.h"

#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

/* GRAPHROOT/DRIVER/LAYER/diff */
char *podman_disk_of_image(Podman *p, const char *image)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(freep) char *path = NULL;
    int r = podman_inspect_image(p, image, &info, NULL);
    const cJSON *driver = r < 0 ? NULL : cJSON_GetObjectItemCaseSensitive(info, "GraphDriver");
    const char *upper = json_string(cJSON_GetObjectItemCaseSensitive(driver, "Data"), "UpperDir");
    const char *names[] = { "diff", NULL, json_string(driver, "Name") };

    if (!upper || upper[0] != '/' || !names[2] || !(path = strdup(upper)))
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path || (names[i] && !str_equal(slash + 1, names[i])))
            return NULL;
        *slash = '\0';
    }
    return TAKE_PTR(path);
}

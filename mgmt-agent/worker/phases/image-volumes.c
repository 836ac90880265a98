/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/image-volumes.h"

#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "mgmt-agent/worker/phases/report.h"

/* Both may end in a slash; `len` of `path` count. */
static bool is_folder(const char *path, size_t len, const char *folder)
{
    size_t wanted = strlen(folder);

    while (len > 1 && path[len - 1] == '/')
        len--;
    while (wanted > 1 && folder[wanted - 1] == '/')
        wanted--;
    return len == wanted && memcmp(path, folder, len) == 0;
}

bool config_mounts_at(const cJSON *config, const char *folder)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(config, "volumes")) {
        const char *target = json_string(item, "target");

        if (target && is_folder(target, strlen(target), folder))
            return true;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(config, "tmpfs")) {
        const char *text = cJSON_GetStringValue(item);

        if (text && is_folder(text, strcspn(text, ":"), folder))
            return true;
    }
    return false;
}

static void tell(Podman *podman, const ComposeService *s, const char *image_id, Report *report)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const cJSON *volume;

    if (podman_inspect_image(podman, image_id, &info, NULL) < 0)
        return; /* whoever needs it finds that out */
    cJSON_ArrayForEach(volume,
                       cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Volumes")) {
        _cleanup_(freep) char *folder = text_printable(volume->string);

        if (folder && !config_mounts_at(s->config, volume->string))
            report_progress(
                report, "info", s->name,
                "warning: its image keeps %s in a volume without a name, so what is written there does not reach "
                "the next container; to keep it, give the volume a name: `volumes: [\"%s-data:%s\"]`",
                folder, s->name, folder);
    }
}

void deploy_tell_image_volumes(Podman *podman, const DeployTarget *target, const Plan *plan, Report *report)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];
        const ComposeService *s = compose_service_find(target->project, step->service);
        const char *image_id = map_get(target->image_ids, step->service);

        if (s && image_id && (step->action == PLAN_CREATE || step->action == PLAN_REPLACE))
            tell(podman, s, image_id, report);
    }
}

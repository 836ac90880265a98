/* SPDX-License-Identifier: MIT */
#include "lib/data/project-name.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"

bool project_name_is_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = name ? strlen(name) : 0;

    return len > 0 && len <= PROJECT_NAME_MAX && strspn(name, letters) == len && name[0] != '_' && name[0] != '-';
}

bool project_action_is_good(const char *action)
{
    static const char *const actions[] = { "stop", "start", "restart", "remove" };
    bool known = false;

    for (size_t i = 0; i < ELEMENTSOF(actions); i++)
        known = known || str_equal(action, actions[i]);
    return known;
}

int project_name_check(const char *name, Error *err)
{
    if (project_name_is_good(name))
        return 0;
    return error_set(err, EINVAL, "project.bad-name",
                     "'%.60s' is no name of a project: up to %d of a-z, 0-9, _ and -, beginning with a letter or digit",
                     name ? name : "", PROJECT_NAME_MAX);
}

const char *project_of_file(const char *name, bool has_it, const cJSON *current)
{
    const char *own = json_string(current, "fileName");

    if (!project_name_is_good(name) || str_equal(name, PROJECT_OWN_DEFAULT) || str_equal(name, own))
        return NULL;
    return has_it || own || cJSON_IsNull(current) ? name : NULL;
}

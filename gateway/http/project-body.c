/* SPDX-License-Identifier: MIT */
#include "gateway/http/project-body.h"

#include "lib/base/strv.h"

int project_body_read(const cJSON *body, const char **ret, Error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "project");
    const char *name = json_string(body, "project");
    int r = item ? project_name_check(name, err) : 0;

    *ret = r < 0 || str_equal(name, PROJECT_OWN_DEFAULT) ? NULL : name;
    return r;
}

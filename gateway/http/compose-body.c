/* SPDX-License-Identifier: MIT */
/* See compose-body.h. */
#include "gateway/http/compose-body.h"

#include <errno.h>
#include <string.h>

#include "compose/precheck.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define COMPOSE_NAME "compose.yaml"

int compose_body_check(const cJSON *body, const char **ret, Error *err)
{
    const char *text = json_string(body, "compose");
    if (str_empty(text))
        return error_set(err, EINVAL, "request.no-compose", "the body needs \"compose\", the text of a compose file");
    size_t len = strlen(text);
    if (len > YAML_SIZE_MAX)
        return error_set_at(err, EFBIG, "compose.too-large", COMPOSE_NAME, 0, NULL,
                            "the compose file has %zu bytes, more than %d", len, YAML_SIZE_MAX);
    /* which files they are stands in their archive alone; the box looks */
    const ComposeFiles *files = cJSON_GetObjectItemCaseSensitive(body, "bundle") ? &compose_any_files : NULL;
    int r = compose_precheck(text, len, COMPOSE_NAME, files, NULL, err);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return str_starts(error_id(err), "yaml.") ? -EINVAL : -EBADMSG;
    *ret = text;
    return 0;
}

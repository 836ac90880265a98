/* SPDX-License-Identifier: MIT */
#include "compose/resolve-anonymous.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

/* "db" and "/var/lib/data" → "db_var-lib-data" */
static char *name_of(const ComposeService *s, const char *target)
{
    char *name = str_format("%s_%s", s->name, target + 1);

    for (char *p = name ? name + strlen(s->name) + 1 : NULL; p && *p; p++)
        if (!isalnum((unsigned char) *p) && !strchr("_.-", *p))
            *p = '-';
    return name;
}

static int add_definition(ComposeProject *p, const char *key)
{
    cJSON *definition = cJSON_AddObjectToObject(p->volumes, key);
    _cleanup_(freep) char *name = str_format("%s_%s", p->name, key);
    int r = definition && name ? json_add_string(definition, "name", name) : -ENOMEM;

    return r < 0 ? r : json_add_bool(definition, "external", false);
}

static int name_volume(ComposeProject *p, ComposeService *s, cJSON *mount, const Place *at)
{
    _cleanup_(freep) char *key = name_of(s, json_string(mount, "target"));
    int r;

    if (!key)
        return -ENOMEM;
    if (cJSON_GetObjectItemCaseSensitive(p->volumes, key))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "the volume without a name would be called %s, as another one is; write NAME:%s", key,
                          json_string(mount, "target"));
    r = add_definition(p, key);
    if (r >= 0)
        r = strv_add(&s->volumes, key);
    return r < 0 || !cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(mount, "source"), key) ? -ENOMEM : 0;
}

int resolve_anonymous_volumes(ComposeProject *p, const Place *services)
{
    for (size_t i = 0; i < p->n_services; i++) {
        Place service = place_member(services, compose_declared_name(&p->services[i])),
              list = place_member(&service, "volumes");
        cJSON *mount;
        size_t k = 0;

        cJSON_ArrayForEach(mount, cJSON_GetObjectItemCaseSensitive(p->services[i].config, "volumes")) {
            size_t item = k++; /* those that come from elsewhere are behind those of the list */

            if (!str_equal(json_string(mount, "type"), "volume") || !str_empty(json_string(mount, "source")))
                continue;
            Place at = place_child(&list, item);
            int r = name_volume(p, &p->services[i], mount, &at);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "compose/policy/policy-refuse.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

int policy_note_entry(const PolicyCheck *c, const char *list, const char *entry)
{
    const char *name = c->service ? c->service : "*";
    cJSON *services, *service, *entries;

    if (!c->all)
        return 0;
    services = cJSON_GetObjectItemCaseSensitive(c->all->allowing, "services");
    services = services ? services : cJSON_AddObjectToObject(c->all->allowing, "services");
    service = cJSON_GetObjectItemCaseSensitive(services, name);
    service = service || !services ? service : cJSON_AddObjectToObject(services, name);
    entries = cJSON_GetObjectItemCaseSensitive(service, list);
    entries = entries || !service ? entries : cJSON_AddArrayToObject(service, list);
    c->all->entry_noted = true;
    return entries ? json_append(entries, cJSON_CreateString(entry)) : -ENOMEM;
}

int policy_pass_on(const PolicyCheck *c, int r)
{
    ErrorList *list;

    if (r >= 0 || r == -ENOMEM || !c->all)
        return r;
    list = c->all->entry_noted ? c->all->allowable : c->all->never;
    c->all->entry_noted = false;
    return error_list_take(list, c->err);
}

int policy_refuse(const PolicyCheck *c, const char *key, const char *item, const char *why)
{
    const char *service = c->service ? c->service : "*";
    _cleanup_(freep) char *path = c->service ? str_format("services.%s.%s", c->service, key) : strdup(key);
    _cleanup_(freep) char *entry = str_format("%s%s%s", key, item ? ":" : "", item ? item : "");

    if (!path || !entry || policy_note_entry(c, "allow", entry) < 0)
        return -ENOMEM;
    return error_set_at(c->err, EPERM, "policy.refused", c->file, c->line, path,
                        "%s%s%.100s %s; to allow it on this box, add \"%s%s%.100s\" to services.\"%s\".allow in "
                        "policy.json",
                        key, item ? " " : "", item ? item : "", why, key, item ? ":" : "", item ? item : "", service);
}

int policy_refuse_always(const PolicyCheck *c, const char *key, const char *why)
{
    _cleanup_(freep) char *path = c->service ? str_format("services.%s.%s", c->service, key) : strdup(key);

    if (!path)
        return -ENOMEM;
    return error_set_at(c->err, EPERM, "policy.refused", c->file, c->line, path,
                        "%s %s; no entry in policy.json can allow it: take it out of the file", key, why);
}

/* SPDX-License-Identifier: MIT */
/* Devices: every key under which a service asks for one needs the same permission. */
#include "compose/policy/policy-rules.h"

#include "compose/model/device.h"
#include "compose/policy/policy-refuse.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* By the path on the host, or the name that a CDI file gives it. */
static int check_device(const PolicyCheck *c, const ComposeKey *rule, const char *text)
{
    _cleanup_(device_parts_done) DeviceParts parts = {};
    int r = device_is_cdi(text) ? 0 : device_split(text, &parts);

    return r < 0 ? r : policy_check_item(c, rule, parts.host ? parts.host : text);
}

int policy_check_devices(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *source = cJSON_IsString(item) ? item->valuestring : json_string(item, "source");
        int r = cJSON_IsString(item) ? check_device(c, rule, item->valuestring)
                : source             ? policy_check_item(c, rule, source)
                                     : 0;

        r = policy_pass_on(c, r);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What it comes to are devices. A variable in it, or what is no number, is found elsewhere. */
static int check_gpus(const PolicyCheck *c, const cJSON *request)
{
    _cleanup_(strv_freep) char **ids = NULL, **names = NULL;
    const cJSON *id;
    int r = 0;

    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(request, "device_ids")) {
        if (r >= 0 && cJSON_IsString(id))
            r = strv_add(&ids, id->valuestring);
    }
    if (r < 0 || device_name_gpus(json_string(request, "driver"), json_string(request, "count"), ids, &names) < 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; r >= 0 && names && names[i]; i++)
        r = policy_pass_on(c, policy_check_item(c, compose_service_key("devices"), names[i]));
    return r;
}

int policy_check_gpus(const PolicyCheck *c, const ComposeKey *rule _unused_, const cJSON *value)
{
    const cJSON *request;
    int r = 0;

    if (cJSON_IsString(value))
        return check_gpus(c, NULL);
    cJSON_ArrayForEach(request, value) {
        r = r < 0 ? r : check_gpus(c, request);
    }
    return r;
}

int policy_check_deploy(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    const cJSON *resources = cJSON_GetObjectItemCaseSensitive(value, "resources");
    const cJSON *reservations = cJSON_GetObjectItemCaseSensitive(resources, "reservations");

    return policy_check_gpus(c, rule, cJSON_GetObjectItemCaseSensitive(reservations, "devices"));
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/health/smart.h"

#include <errno.h>

#include "lib/base/strv.h"

/* attributes of ATA disks */
#define REALLOCATED 5
#define PENDING 197

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* Copies a number from 0 to 2^53. */
static int copy(cJSON *to, const char *key, const cJSON *item)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 9007199254740992.0))
        return 0;
    return cJSON_AddNumberToObject(to, key, (double) (long long) item->valuedouble) ? 0 : -ENOMEM;
}

static const cJSON *attribute(const cJSON *smartctl, int id)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, find(find(smartctl, "ata_smart_attributes"), "table")) {
        const cJSON *item = find(row, "id");

        if (cJSON_IsNumber(item) && item->valueint == id)
            return find(find(row, "raw"), "value");
    }
    return NULL;
}

static int copy_nvme(cJSON *to, const cJSON *nvme)
{
    const cJSON *spare = find(nvme, "available_spare");

    if (copy(to, "usedPercent", find(nvme, "percentage_used")) < 0 ||
        copy(to, "mediaErrors", find(nvme, "media_errors")) < 0)
        return -ENOMEM;
    if (!cJSON_IsNumber(spare) || !(spare->valuedouble >= 0 && spare->valuedouble <= 100))
        return 0;
    return json_add_int(to, "spareMissingPercent", 100 - spare->valueint);
}

cJSON *smart_read(const cJSON *smartctl)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    const cJSON *passed = find(find(smartctl, "smart_status"), "passed");

    if (!o || (cJSON_IsBool(passed) && json_add_bool(o, "passed", cJSON_IsTrue(passed)) < 0) ||
        copy(o, "celsius", find(find(smartctl, "temperature"), "current")) < 0 ||
        copy(o, "powerOnHours", find(find(smartctl, "power_on_time"), "hours")) < 0 ||
        copy_nvme(o, find(smartctl, "nvme_smart_health_information_log")) < 0 ||
        copy(o, "reallocatedSectors", attribute(smartctl, REALLOCATED)) < 0 ||
        copy(o, "pendingSectors", attribute(smartctl, PENDING)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

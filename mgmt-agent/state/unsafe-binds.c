/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/unsafe-binds.h"

#include <errno.h>

#include "mgmt-agent/state/state-file.h"

#define BINDS_FILE "unsafe-binds.json"

cJSON *unsafe_binds_load(void)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    cJSON *list;

    /* losing it costs one more look */
    if (state_file_load(BINDS_FILE, &o, NULL) < 0)
        return cJSON_CreateArray();
    list = cJSON_DetachItemFromObjectCaseSensitive(o, "binds");
    if (cJSON_IsArray(list))
        return list;
    cJSON_Delete(list);
    return cJSON_CreateArray();
}

int unsafe_binds_save(const cJSON *list, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (json_add_item(o, "binds", cJSON_Duplicate(list, true)) < 0)
        return error_set(err, ENOMEM, "store.write", "no memory for the list of mounts");
    return state_file_save(BINDS_FILE, o, err);
}

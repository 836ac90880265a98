/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/unsafe-binds.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"

cJSON *unsafe_binds_load(void)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_STATE_DIR "/unsafe-binds.json");
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    cJSON *list;
    size_t len = 0;

    /* losing it costs one more look */
    if (!path || file_read(path, JSON_SIZE_MAX, &text, &len, NULL) < 0 || json_parse_object(text, len, &o, NULL) < 0)
        return cJSON_CreateArray();
    list = cJSON_DetachItemFromObjectCaseSensitive(o, "binds");
    if (cJSON_IsArray(list))
        return list;
    cJSON_Delete(list);
    return cJSON_CreateArray();
}

int unsafe_binds_save(const cJSON *list, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_STATE_DIR "/unsafe-binds.json");
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;

    if (!path || !o || json_add_item(o, "binds", cJSON_Duplicate(list, true)) < 0 || !(text = json_print(o)))
        return error_set(err, ENOMEM, "file.write", "no memory for the list of mounts");
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

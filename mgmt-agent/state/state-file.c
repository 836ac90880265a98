/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/state-file.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "mgmt-agent/state/project.h"

int state_file_load(const char *name, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *path = project_path(name);
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error reason = {};
    size_t len;
    int r;

    *ret = NULL;
    if (!path)
        return error_set(err, ENOMEM, "store.read", "no memory to read %s", name);
    r = file_read(path, JSON_SIZE_MAX, &text, &len, &reason);
    if (r == -ENOENT)
        return r;
    if (r == 0)
        r = json_parse_object(text, len, ret, &reason);
    /* -ENOENT says that there is no file, and nothing else */
    return r < 0 ? error_set(err, r, "store.read", "%s cannot be read: %s", path, error_message(&reason, r)) : 0;
}

int state_file_save(const char *name, const cJSON *value, Error *err)
{
    _cleanup_(freep) char *path = project_path(name);
    _cleanup_(freep) char *text = json_print(value);

    if (!path || !text)
        return error_set(err, ENOMEM, "store.write", "no memory to write %s", name);
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

int state_load(const char *name, const JsonType *type, void *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int r = state_file_load(name, &o, err), read = json_read(o, type, ret);

    if (r == 0 && read == -ENOMEM)
        return error_set(err, ENOMEM, "store.read", "no memory to read %s", name);
    return r;
}

int state_save(const char *name, const JsonType *type, const void *value, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(type, value);

    return state_file_save(name, o, err);
}

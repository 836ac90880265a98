/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/state-file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
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
    return state_write(path, text, strlen(text), err);
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

int state_set_aside(const char *path, Error *err)
{
    _cleanup_(freep) char *aside = str_format("%s.unreadable", path);
    struct stat st;
    int r = 0;

    if (!aside)
        return error_set(err, ENOMEM, "file.write", "no memory to set %s aside", path);
    if (lstat(aside, &st) == 0)
        r = S_ISDIR(st.st_mode) ? dir_remove(aside, err) : file_remove(aside, err);
    if (r == 0 && rename(path, aside) < 0)
        r = error_set(err, errno, "file.write", "cannot rename %s: %s", path, strerror(errno));
    return r;
}

int state_write(const char *path, const char *text, size_t len, Error *err)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        int r = state_set_aside(path, err);

        if (r < 0)
            return r;
        log_warning("%s was a folder: it is now %s.unreadable, and the file is written anew", path, path);
    }
    return file_write_atomic(path, text, len, 0600, (uid_t) -1, (gid_t) -1, err);
}

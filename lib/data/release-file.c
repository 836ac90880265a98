/* SPDX-License-Identifier: MIT */
#include "lib/data/release-file.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define FILE_MAX (64 * 1024)

int release_file_load(const char *path, const JsonType *type, void *ret, Error *err)
{
    _cleanup_(freep) char *full = path_in_root(path), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = full ? file_read(full, FILE_MAX, &text, &len, &why) : -ENOMEM;

    if (r == -ENOENT)
        return 0;
    if (r >= 0)
        r = json_parse_object(text, len, &o, &why);
    if (r >= 0 && (r = json_read(o, type, ret)) == -EINVAL)
        r = error_set(&why, EBADMSG, "release.damaged", "a member is of the wrong kind");
    if (r >= 0)
        return 0;
    json_done(type, ret);
    return r == -ENOMEM ? error_from_errno(err, r, "cannot read %s", path)
                        : error_set(err, r, "release.damaged", "%s cannot be read, remove it where it stays so: %s",
                                    full, error_message(&why, r));
}

int release_file_make_folder(Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(RELEASE_STATE_DIR);

    return folder ? dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err)
                  : error_from_errno(err, -ENOMEM, "cannot look after releases");
}

int release_file_save(const char *path, const JsonType *type, const void *value, Error *err)
{
    _cleanup_(freep) char *full = path_in_root(path), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(type, value);
    int r = full && o && (text = json_print(o)) ? release_file_make_folder(err) : -ENOMEM;

    return r < 0 ? error_from_errno(err, r, "cannot write %s", path)
                 : file_write_atomic(full, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

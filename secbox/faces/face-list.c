/* SPDX-License-Identifier: MIT */
#include "secbox/faces/face-list.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

#define FILES_MAX 64
#define FILE_NAME_MAX 200

/* What goes back to Frigate as the name of a file to be removed. */
static bool is_file_name(const cJSON *item)
{
    const char *name = cJSON_GetStringValue(item);

    return name && *name && name[0] != '.' && strlen(name) <= FILE_NAME_MAX && !strpbrk(name, "/\\");
}

static cJSON *files_of(const cJSON *given)
{
    cJSON *files = cJSON_CreateArray();
    const cJSON *file;
    int n = 0;

    cJSON_ArrayForEach(file, given) {
        if (!is_file_name(file) || n++ >= FILES_MAX)
            continue;
        if (json_append(files, cJSON_CreateString(file->valuestring)) < 0) {
            cJSON_Delete(files);
            return NULL;
        }
    }
    return files;
}

int face_list_parse(const char *text, size_t len, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *given = NULL, *ours = cJSON_CreateObject();
    const cJSON *face;

    if (!ours)
        return error_from_errno(err, -ENOMEM, "reading Frigate's faces");
    if (json_parse_object(text, len, &given, NULL) < 0)
        return error_set(err, EBADMSG, "faces.bad-answer", "Frigate's list of faces is none");
    cJSON_ArrayForEach(face, given) {
        if (!face_name_is_ours(face->string) || !cJSON_IsArray(face) || cJSON_HasObjectItem(ours, face->string))
            continue;
        if (json_add_item(ours, face->string, files_of(face)) < 0)
            return error_from_errno(err, -ENOMEM, "reading Frigate's faces");
    }
    *ret = TAKE_PTR(ours);
    return 0;
}

const cJSON *face_list_find_extra(const cJSON *list, const FaceEntry *wanted, size_t n)
{
    const cJSON *face;

    cJSON_ArrayForEach(face, list) {
        bool found = false;
        for (size_t i = 0; i < n && !found; i++)
            found = str_equal(wanted[i].name, face->string);
        if (!found)
            return face;
    }
    return NULL;
}

FaceEntry *face_list_find_missing(const cJSON *list, FaceEntry *wanted, size_t n)
{
    FaceEntry *found = NULL;

    for (size_t i = 0; i < n; i++) {
        /* a folder without a picture is a registration that was cut off */
        const cJSON *files = cJSON_GetObjectItemCaseSensitive(list, wanted[i].name);
        if (!wanted[i].refused && cJSON_GetArraySize(files) == 0 && (!found || wanted[i].tries < found->tries))
            found = &wanted[i];
    }
    return found;
}

/* SPDX-License-Identifier: MIT */
/* Frigate's list of faces, as it or who stands in its place may send it: what is taken of it is ours, and names files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/faces/face-list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *face, *file;
    char id[UUID_SIZE];

    if (!text || face_list_parse(text, strlen(text), &list, NULL) < 0)
        return 0;
    cJSON_ArrayForEach(face, list) {
        if (!face_name_id(face->string, id) || !uuid_is_valid(id))
            abort();
        cJSON_ArrayForEach(file, face)
            if (!cJSON_IsString(file) || strpbrk(file->valuestring, "/\\"))
                abort();
    }
    return 0;
}

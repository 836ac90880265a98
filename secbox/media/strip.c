/* SPDX-License-Identifier: MIT */
#include "secbox/media/strip.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/media/playlist.h"

#define PART_END_SLACK 60
#define FRAME_PREFIX "preview_"

bool strip_file_is_within(const char *file, uint64_t from, uint64_t until)
{
    PreviewTimes t;

    if (!strip_file_parse(file, &t))
        return false;
    return t.from >= (double) from && t.until <= (double) until + (t.is_part ? PART_END_SLACK : 0);
}

bool media_path_is_text(const MediaPath *path)
{
    return path->kind == FRIGATE_STRIP || path->kind == FRIGATE_FRAMES || recording_file_is_playlist(path->file);
}

/* Of "/clips/previews/CAMERA/FILE" the file, or NULL. */
static const char *part_of(const cJSON *entry, const MediaPath *path)
{
    _cleanup_(freep) char *folder = str_format("/clips/previews/%s/", path->camera);
    const char *src = json_string(entry, "src");

    return folder && src && str_starts(src, folder) ? src + strlen(folder) : NULL;
}

/* Of "preview_CAMERA-FILE" the file, or NULL. */
static const char *frame_of(const cJSON *entry, const MediaPath *path)
{
    _cleanup_(freep) char *start = str_format(FRAME_PREFIX "%s-", path->camera);
    const char *name = cJSON_IsString(entry) ? entry->valuestring : NULL;

    return start && name && str_starts(name, start) ? name + strlen(start) : NULL;
}

static cJSON *item_new(const char *file, const PreviewTimes *t)
{
    cJSON *o = cJSON_CreateObject();
    int r = json_add_string(o, "file", file);

    if (r >= 0 && !cJSON_AddNumberToObject(o, t->is_part ? "from" : "at", t->from))
        r = -ENOMEM;
    if (r >= 0 && t->is_part && !cJSON_AddNumberToObject(o, "until", t->until))
        r = -ENOMEM;
    if (r >= 0)
        return o;
    cJSON_Delete(o);
    return NULL;
}

/* What is no file of this window, or has no name that we know, is left out. */
static int add_item(cJSON *list, const cJSON *entry, const MediaPath *path)
{
    bool parts = path->kind == FRIGATE_STRIP;
    const char *file = parts ? part_of(entry, path) : frame_of(entry, path);
    PreviewTimes t;

    if (!file || !strip_file_parse(file, &t) || t.is_part != parts ||
        !strip_file_is_within(file, path->from, path->until))
        return 0;
    return json_append(list, item_new(file, &t));
}

static int list_rewrite(const MediaPath *path, const char *text, size_t len, Buf *out, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *given = len <= PLAYLIST_SIZE_MAX ? cJSON_ParseWithLength(text, len) : NULL,
                                   *o = cJSON_CreateObject();
    _cleanup_(freep) char *said = NULL;
    cJSON *list = cJSON_AddArrayToObject(o, path->kind == FRIGATE_STRIP ? "parts" : "frames");
    const cJSON *entry;
    int r = list ? 0 : -ENOMEM;

    if (r >= 0 && !cJSON_IsArray(given))
        return error_set(err, EBADMSG, "media.playlist", "Frigate's list of previews is none");
    cJSON_ArrayForEach(entry, given)
        if (r >= 0)
            r = add_item(list, entry, path);
    if (r >= 0 && !(said = json_print(o)))
        r = -ENOMEM;
    if (r >= 0)
        r = buf_puts(out, said);
    return r < 0 ? error_from_errno(err, r, "cannot pass a list of previews on") : 0;
}

int media_text_rewrite(const MediaPath *path, const char *text, size_t len, Buf *out, Error *err)
{
    bool list = path->kind == FRIGATE_STRIP || path->kind == FRIGATE_FRAMES;

    return list ? list_rewrite(path, text, len, out, err) : playlist_rewrite(text, len, out, err);
}

/* SPDX-License-Identifier: MIT */
/* Playlists and lists of previews as Frigate, or who stands in its place, may send them, and paths as viewers may: what comes out
 * of the first names files alone, and says the same when it is rewritten once more; what comes out of lists can be asked for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/cameras/frigate.h"
#include "secbox/media/media-path.h"
#include "secbox/media/playlist.h"
#include "secbox/media/strip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        _cleanup_(freep) char *line = strndup(text, len);
        if (!line || text[len] != '\n' || (line[0] != '#' && !recording_file_is_valid(line)))
            abort();
        text += len + 1;
    }
}

static void check_playlist(const char *text, size_t len)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(2 * PLAYLIST_SIZE_MAX), again = BUF_INIT(2 * PLAYLIST_SIZE_MAX);

    if (playlist_rewrite(text, len, &out, NULL) < 0)
        return;
    check_lines(out.data);
    if (playlist_rewrite(out.data, out.len, &again, NULL) < 0 || !str_equal(out.data, again.data))
        abort();
}

static void check_list(const char *list, const char *member, const char *text, size_t len)
{
    static const char root[] = "/media/preview/entrada/1700000000/1700003600/";
    _cleanup_(buf_done) Buf out = BUF_INIT(2 * PLAYLIST_SIZE_MAX);
    _cleanup_(freep) char *path = str_format("%s%s", root, list);
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    const cJSON *item;
    MediaPath p, of_item;

    if (!path || !media_path_parse(path, &p) || media_text_rewrite(&p, text, len, &out, NULL) < 0)
        return;
    if (json_parse_object(out.data, out.len, &o, NULL) < 0)
        abort();
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(o, member)) {
        _cleanup_(freep) char *one = str_format("%s%s", root, json_string(item, "file"));
        if (one && !media_path_parse(one, &of_item))
            abort();
    }
}

static void check_path(const char *text, size_t len)
{
    _cleanup_(freep) char *path = strndup(text, len);
    MediaPath p;

    if (path && media_path_parse(path, &p)) {
        bool sound = p.event[0] ? frigate_id_is_valid(p.event) : camera_name_is_valid(p.camera) && p.from < p.until;
        if (!p.type || strchr(p.file, '/') || !sound)
            abort();
    }
    (void) !range_is_plain(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_playlist((const char *) data, size);
    check_list("strip.json", "parts", (const char *) data, size);
    check_list("frames.json", "frames", (const char *) data, size);
    check_path((const char *) data, size);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Playlists as Frigate, or who stands in its place, may send them, and paths as viewers may: what comes out of the first names
 * files alone, and says the same when it is rewritten once more. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "secbox/cameras/frigate.h"
#include "secbox/media/media-path.h"
#include "secbox/media/playlist.h"

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
    check_path((const char *) data, size);
    return 0;
}

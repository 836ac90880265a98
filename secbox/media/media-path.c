/* SPDX-License-Identifier: MIT */
#include "secbox/media/media-path.h"

#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/media-token.h"
#include "secbox/media/strip.h"

#define ROOT "/media/"
#define EVENT_ROOT ROOT "event/"
#define EVENT_END ".mp4"
#define SECONDS_MAX (UINT64_C(1) << 53)
#define NUMBER_SIZE 21
#define STRIP_ROOM "preview"

static const struct {
    const char *name;
    FrigateKind kind;
    const char *file; /* the only one; NULL: those of HLS */
} rooms[] = {
    { "vod", FRIGATE_VOD, NULL },
    { "clip", FRIGATE_CLIP, "clip.mp4" },
    { STRIP_ROOM, FRIGATE_PREVIEW, "preview.mp4" },
    { STRIP_ROOM, FRIGATE_STRIP, "strip.json" },
    { STRIP_ROOM, FRIGATE_FRAMES, "frames.json" },
};

static const struct {
    const char *end, *type;
} types[] = {
    { ".m3u8", "application/vnd.apple.mpegurl" },
    { ".mp4", "video/mp4" },
    { ".m4s", "video/iso.segment" },
    { ".ts", "video/mp2t" },
    { ".vtt", "text/vtt" },
    { ".json", "application/json" },
    { ".webp", "image/webp" },
};

/* Copies one part of the path, which has to end with a slash. */
static bool take_part(const char **at, char *ret, size_t size)
{
    const char *slash = strchr(*at, '/');
    size_t len = slash ? (size_t) (slash - *at) : size;

    if (len >= size)
        return false;
    memcpy(ret, *at, len);
    ret[len] = '\0';
    *at = slash + 1;
    return true;
}

static bool take_seconds(const char **at, uint64_t *ret)
{
    char text[NUMBER_SIZE];

    return take_part(at, text, sizeof(text)) && text[0] != '0' && str_to_u64(text, 1, SECONDS_MAX, ret) >= 0;
}

/* What a strip consists of is within the window by its name. */
static bool take_strip_file(const char *file, MediaPath *ret)
{
    PreviewTimes t;

    if (!strip_file_parse(file, &t))
        return false;
    ret->kind = t.is_part ? FRIGATE_STRIP_PART : FRIGATE_STRIP_FRAME;
    return strip_file_is_within(file, ret->from, ret->until);
}

static bool take_room(const char *name, const char *file, MediaPath *ret)
{
    for (size_t i = 0; i < ELEMENTSOF(rooms); i++)
        if (str_equal(rooms[i].name, name) && (!rooms[i].file || str_equal(rooms[i].file, file))) {
            ret->kind = rooms[i].kind;
            return rooms[i].file || recording_file_is_valid(file);
        }
    return str_equal(name, STRIP_ROOM) && take_strip_file(file, ret);
}

/* Sets its type, too. */
static bool is_sound(MediaPath *p)
{
    for (size_t i = 0; i < ELEMENTSOF(types); i++)
        if (str_ends(p->file, types[i].end))
            p->type = types[i].type;
    return camera_name_is_valid(p->camera) && p->from < p->until && p->until <= SECONDS_MAX &&
           p->until - p->from <= MEDIA_WINDOW_SECONDS;
}

static bool take_event(const char *file, MediaPath *ret)
{
    size_t len = strlen(file), end = strlen(EVENT_END);

    if (!str_ends(file, EVENT_END) || len - end >= sizeof(ret->event))
        return false;
    *ret = (MediaPath) { .kind = FRIGATE_EVENT_CLIP, .file = file, .type = "video/mp4" };
    memcpy(ret->event, file, len - end);
    return frigate_id_is_valid(ret->event);
}

bool media_path_make_event(const char *camera, const char *file, MediaPath *ret)
{
    *ret = (MediaPath) {};
    if (!camera_name_is_valid(camera) || !file || !take_event(file, ret))
        return false;
    memcpy(ret->camera, camera, strlen(camera) + 1);
    return true;
}

bool media_path_parse(const char *path, MediaPath *ret)
{
    const char *at = path;
    char room[CAMERA_NAME_MAX + 1];

    *ret = (MediaPath) {};
    if (str_starts(path, EVENT_ROOT) && take_event(path + strlen(EVENT_ROOT), ret)) {
        ret->folder_len = strlen(path);
        return true;
    }
    if (!str_starts(path, ROOT))
        return false;
    at += strlen(ROOT);
    if (!take_part(&at, room, sizeof(room)) || !take_part(&at, ret->camera, sizeof(ret->camera)) ||
        !take_seconds(&at, &ret->from) || !take_seconds(&at, &ret->until))
        return false;
    ret->file = at;
    ret->folder_len = (size_t) (at - path);
    return is_sound(ret) && take_room(room, at, ret);
}

bool media_path_make(const char *camera, uint64_t from, uint64_t until, const char *file, MediaPath *ret)
{
    const char *room = rooms[0].name;
    PreviewTimes t;

    *ret = (MediaPath) { .from = from, .until = until, .file = file };
    if (!camera_name_is_valid(camera) || !file)
        return false;
    memcpy(ret->camera, camera, strlen(camera) + 1);
    for (size_t i = 0; i < ELEMENTSOF(rooms); i++)
        if (str_equal(rooms[i].file, file))
            room = rooms[i].name;
    if (strip_file_parse(file, &t))
        room = STRIP_ROOM;
    return is_sound(ret) && take_room(room, file, ret);
}

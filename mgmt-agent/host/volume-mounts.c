/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/volume-mounts.h"

#include <errno.h>
#include <string.h>

/* "36 35 98:0 /root /mounted/at rw,nosuid shared:1 - ext4 /dev/sda1 rw" */
enum { FIELD_DEVICE = 2, FIELD_ROOT = 3, FIELD_WHERE = 4, FIELD_OPTIONS = 5, FIELDS };

typedef struct Line {
    char *fields[FIELDS];
} Line;

void volume_places_done(FolderPlaces *p)
{
    strv_free(p->places);
    *p = (FolderPlaces) {};
}

static bool split(char *text, Line *ret)
{
    char *state = NULL, *word = strtok_r(text, " ", &state);

    for (size_t i = 0; i < FIELDS; i++, word = strtok_r(NULL, " ", &state)) {
        if (!word)
            return false;
        ret->fields[i] = word;
    }
    return true;
}

/* What follows `folder` in `path`: "" for the folder itself, "/x" for what is below; NULL when it is elsewhere. */
static const char *below(const char *path, const char *folder)
{
    size_t len = str_equal(folder, "/") ? 0 : strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0') ? path + len : NULL;
}

static bool has_option(const char *options, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = options; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

static bool has_flags(const Line *l)
{
    return has_option(l->fields[FIELD_OPTIONS], "nosuid") && has_option(l->fields[FIELD_OPTIONS], "nodev");
}

/* The root of a file system is nothing, so that all that is in it is below. */
static char *place(const Line *l, const char *rest)
{
    const char *root = l->fields[FIELD_ROOT];

    return str_format("%s %s%s", l->fields[FIELD_DEVICE], str_equal(root, "/") ? "" : root, rest);
}

typedef int (*OnLine)(const Line *l, void *userdata);

static int each_line(const char *mountinfo, OnLine on_line, void *userdata)
{
    _cleanup_(freep) char *copy = strdup(mountinfo);
    char *state = NULL;
    int r = copy ? 0 : -ENOMEM;

    for (char *text = copy ? strtok_r(copy, "\n", &state) : NULL; text && r >= 0; text = strtok_r(NULL, "\n", &state)) {
        Line l;

        r = split(text, &l) ? on_line(&l, userdata) : -EINVAL;
    }
    return r;
}

typedef struct Search {
    const char *folder;
    size_t longest; /* of the mounts that hold the folder; a later one lies over those of the same length */
    char *seen;
    FolderPlaces *ret;
} Search;

static int take_host_line(const Line *l, void *userdata)
{
    Search *s = userdata;
    const char *where = l->fields[FIELD_WHERE], *rest = below(s->folder, where);

    if (!rest && below(where, s->folder))
        return strv_take(&s->ret->places, place(l, ""));
    if (!rest || strlen(where) < s->longest)
        return 0;
    s->longest = strlen(where);
    s->ret->flags = has_flags(l);
    free(s->seen);
    s->seen = place(l, rest);
    return s->seen ? 0 : -ENOMEM;
}

int volume_places_parse(const char *mountinfo, const char *folder, FolderPlaces *ret)
{
    FolderPlaces found = {};
    Search s = { .folder = folder, .ret = &found };
    int r = each_line(mountinfo, take_host_line, &s);

    if (r >= 0 && !s.seen)
        r = -EINVAL;
    else if (r >= 0)
        r = strv_take(&found.places, TAKE_PTR(s.seen));
    free(s.seen);
    if (r < 0)
        volume_places_done(&found);
    else
        *ret = found;
    return r < 0 ? r : 0;
}

typedef struct Judge {
    const FolderPlaces *places;
    char ***ret;
} Judge;

static int judge_line(const Line *l, void *userdata)
{
    const Judge *j = userdata;
    _cleanup_(freep) char *mine = place(l, "");

    if (!mine)
        return -ENOMEM;
    for (char **p = j->places->places; !has_flags(l) && p && *p; p++)
        if (below(mine, *p))
            return strv_add(j->ret, l->fields[FIELD_WHERE]);
    return 0;
}

int volume_mounts_find_bare(const FolderPlaces *p, const char *mountinfo, char ***ret)
{
    Judge j = { .places = p, .ret = ret };
    int r = each_line(mountinfo, judge_line, &j);

    return r < 0 ? r : 0;
}

/* SPDX-License-Identifier: MIT */
#include "compose/normalise/data-folders.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "compose/policy/bind-rules.h"
#include "lib/base/strv.h"

void data_folders_done(DataFolders *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->items[i].written);
    free(f->items);
    *f = (DataFolders) {};
}

static char *flat_name(const char *written)
{
    char *name = strdup(written);

    for (char *p = name; p && *p; p++)
        *p = *p == '/' ? '+' : *p;
    return name;
}

static bool is_same_place(const DataFolder *a, const DataFolder *b)
{
    _cleanup_(freep) char *one = flat_name(a->written), *other = flat_name(b->written);

    return (a->moved || b->moved) && !a->travelled && !b->travelled && !str_equal(a->written, b->written) &&
           (!one || !other || str_equal(one, other));
}

/* The inner one has left the outer one. What came along lies where it was put, whatever it lay in. */
static bool is_torn_apart(const DataFolder *outer, const DataFolder *inner)
{
    return !outer->travelled && inner->moved && !str_equal(outer->written, inner->written) &&
           path_is_below(inner->written, outer->written);
}

/* Of a folder that holds data only the files came along that are named for themselves. */
static bool is_half(const DataFolder *travelled, const DataFolder *data)
{
    return travelled->travelled && data->is_written &&
           (str_equal(data->written, travelled->written) || path_is_below(data->written, travelled->written));
}

static int refuse_half(const Place *at, const DataFolder *travelled, const DataFolder *data)
{
    return place_fail(at, EINVAL, "compose.bad-value",
                      "./%s came with the compose file, and a service writes to ./%s, which stays on the box, so "
                      "./%s would lack one or the other; mount it `:ro` everywhere, or move the files that come along "
                      "into a folder of their own",
                      travelled->written, data->written, travelled->written);
}

static int check_beside(const Place *at, const DataFolders *others, const DataFolder *new)
{
    for (size_t i = 0; i < others->n; i++) {
        const DataFolder *other = &others->items[i];
        if (is_half(other, new))
            return refuse_half(at, other, new);
        if (is_half(new, other))
            return refuse_half(at, new, other);
        const DataFolder *inner = is_torn_apart(other, new) ? new : is_torn_apart(new, other) ? other : NULL;

        if (inner)
            return place_fail(
                at, EINVAL, "compose.bad-value",
                "./%s lies in ./%s, which is mounted, too, and on a box each is a folder of its own; mount "
                "./%s in its place, or a folder beside it",
                inner->written, inner == new ? other->written : new->written,
                inner == new ? other->written : new->written);
        if (is_same_place(other, new))
            return place_fail(at, EINVAL, "compose.bad-value",
                              "./%s and ./%s would be the same folder on a box; rename one", new->written,
                              other->written);
    }
    return 0;
}

static int add(DataFolders *f, const DataFolder *new)
{
    DataFolder *items = reallocarray(f->items, f->n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    f->items = items;
    f->items[f->n] = *new;
    f->items[f->n].written = strdup(new->written);
    return f->items[f->n++].written ? 0 : -ENOMEM;
}

int note_travelled(const Place *at, const Normaliser *n, const char *source)
{
    const char *written = NULL;
    int r = path_below_base(at, n, source, &written);
    const DataFolder folder = { .written = (char *) written, .travelled = true };

    if (r >= 0)
        r = check_beside(at, n->data_folders, &folder);
    return r < 0 ? r : add(n->data_folders, &folder);
}

int take_data_folder(const Place *at, const Normaliser *n, const char *service, bool read_only, char **source)
{
    const ComposeResolveOptions *o = n->options;
    const char *prefix = o->data_prefix ? o->data_prefix : "";
    _cleanup_(freep) char *name = NULL, *moved = NULL;
    const char *written = NULL;
    int r = path_below_base(at, n, *source, &written);

    if (r < 0 || !*written)
        return r;
    name = flat_name(written);
    moved = name ? str_format("%.*s%s%s", (int) (written - *source), *source, prefix, name) : NULL;
    if (!moved)
        return -ENOMEM;
    DataFolder folder = { .written = (char *) written, .is_written = !read_only };
    folder.moved =
        *prefix || (strchr(written, '/') && !(o->is_nested && o->is_nested(service, *source, moved, o->userdata)));
    if (folder.moved && strlen(prefix) + strlen(name) > NAME_MAX)
        return place_fail(at, EINVAL, "compose.bad-value", "the path ./%.200s… is too long; shorten it", written);
    r = check_beside(at, n->data_folders, &folder);
    if (r == 0)
        r = add(n->data_folders, &folder);
    if (r == 0 && folder.moved) {
        free(*source);
        *source = TAKE_PTR(moved);
    }
    return r;
}

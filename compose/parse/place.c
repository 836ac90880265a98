/* SPDX-License-Identifier: MIT */
/* Places in a compose file, for errors. */
#include "compose/parse/place.h"

#include "lib/base/buf.h"
#include "lib/base/strv.h"

#define PATH_LENGTH_MAX 1024

Place place_top(const char *file, const YamlNode *root, Error *err)
{
    return (Place) { .file = file, .node = root, .err = err };
}

Place place_child(const Place *parent, size_t index)
{
    const YamlNode *node = parent->node->items[index];

    return (Place) { .parent = parent,
                     .file = parent->file,
                     .node = node,
                     .key = node->key,
                     .index = node->position,
                     .err = parent->err };
}

Place place_member(const Place *parent, const char *key)
{
    return (Place) {
        .parent = parent, .file = parent->file, .node = yaml_get(parent->node, key), .key = key, .err = parent->err
    };
}

static int append_path(Buf *b, const Place *at)
{
    int r = at->parent ? append_path(b, at->parent) : 0;

    if (r < 0 || !at->parent)
        return r;
    if (at->key)
        return buf_printf(b, "%s%s", b->len ? "." : "", at->key);
    return buf_printf(b, "[%zu]", at->index);
}

char *place_format(const Place *at)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(PATH_LENGTH_MAX);

    if (!at->parent || append_path(&b, at) < 0)
        return NULL;
    return buf_take(&b);
}

unsigned place_line(const Place *at)
{
    for (; at; at = at->parent)
        if (at->node)
            return at->node->key ? at->node->key_line : at->node->line;
    return 0;
}

int place_fail(const Place *at, int code, const char *id, const char *fmt, ...)
{
    _cleanup_(freep) char *message = NULL;
    _cleanup_(freep) char *path = place_format(at);
    va_list ap;

    va_start(ap, fmt);
    message = str_vformat(fmt, ap);
    va_end(ap);
    return error_set_at(at->err, code, id, at->file, place_line(at), path, "%s", message ? message : "out of memory");
}

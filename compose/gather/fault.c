/* SPDX-License-Identifier: MIT */
/* What is wrong is noted, and gathering goes on with the rest. */
#include <errno.h>
#include <string.h>

#include "compose/gather/gather-impl.h"
#include "lib/base/strv.h"

static bool is_noted(const ErrorList *list, const Error *e)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_equal(list->items[i].message, e->message) && str_equal(list->items[i].file, e->file) &&
            list->items[i].line == e->line)
            return true;
    return false;
}

int gather_fault(Gathering *g, Error *why, int r)
{
    if (r == -ENOMEM)
        return r;
    (void) error_from_errno(why, r, "cannot gather the compose file");
    if (is_noted(&g->result->faults, why)) {
        error_done(why);
        return 0;
    }
    return error_list_take(&g->result->faults, why);
}

void gather_place(Error *e, const char *file, const YamlNode *at)
{
    if (!e || !e->id || e->file)
        return;
    e->file = strdup(file);
    e->line = at->key_line ? at->key_line : at->line;
}

static char *frame_name(const GatherFrame *f)
{
    return f->service ? str_format("%s in %s", f->service, f->file) : strdup(f->file);
}

/* From the frame that is come back to, inwards. */
static char *describe_circle(const GatherFrame *f, const GatherFrame *first)
{
    _cleanup_(freep) char *before = f != first ? describe_circle(f->outer, first) : NULL, *name = frame_name(f);

    return !name ? NULL : f == first ? TAKE_PTR(name) : before ? str_format("%s → %s", before, name) : NULL;
}

int gather_enter(Gathering *g, GatherFrame *frame, const char *what, Error *err)
{
    for (const GatherFrame *f = g->frames; f; f = f->outer) {
        if (!str_equal(f->file, frame->file) || !str_equal(f->service, frame->service))
            continue;
        _cleanup_(freep) char *way = describe_circle(g->frames, f), *name = frame_name(frame);

        return !way || !name
                   ? -ENOMEM
                   : error_set(err, ELOOP, "gather.cycle", "%s each other in a circle: %s → %s", what, way, name);
    }
    frame->outer = g->frames;
    g->frames = frame;
    return 0;
}

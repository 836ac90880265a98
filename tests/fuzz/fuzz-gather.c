/* SPDX-License-Identifier: MIT */
/* Files that are put over each other, include and extend each other are refused with a reason, or come to one text; that one
 * comes to itself when it is gathered again. The input is the files, with a control character between them. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/gather/gather.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define SEPARATOR 0x1f

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "a.yml", "b.yml", "c/c.yml", ".env" };

typedef struct Part {
    const char *start;
    size_t len;
} Part;

static int read_part(const char *path, char **ret, size_t *ret_len, void *userdata, Error *err)
{
    const Part *parts = userdata;

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (str_equal(path, names[i]) && parts[i].start) {
            char *text = malloc(parts[i].len + 1);

            if (!text)
                return -ENOMEM;
            memcpy(text, parts[i].start, parts[i].len);
            text[parts[i].len] = '\0';
            *ret = text;
            *ret_len = parts[i].len;
            return 0;
        }
    return error_set(err, ENOENT, "gather.missing", "there is no %s", path);
}

static int look_at_part(const char *path, mode_t *ret_mode, void *userdata)
{
    (void) userdata;
    *ret_mode = strlen(path) % 2 ? S_IFREG | 0644 : S_IFDIR | 0755;
    return 0;
}

static int gather(const Part *parts, bool both, Gathered *ret, Error *err)
{
    char *const files[] = { (char *) names[0], both ? (char *) names[1] : NULL, NULL };
    const GatherOptions options = { .files = files };
    const GatherSource source = { .read = read_part, .look = look_at_part, .userdata = (void *) parts };

    return compose_gather(&options, &source, ret, err);
}

static void check_result(const Gathered *g)
{
    for (size_t i = 0; i < g->n_files; i++) {
        const char *path = g->files[i].path;

        if (!*path || *path == '/' || str_equal(path, "..") || str_starts(path, "../"))
            abort();
    }
    for (size_t i = 0; i < g->n_lines; i++)
        if (g->lines[i].file && (g->lines[i].line == 0 || !strv_contains(g->sources, g->lines[i].file)))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Part parts[ELEMENTSOF(names)] = {};
    const char *p = (const char *) data;
    size_t left = size;
    _cleanup_(gathered_done) Gathered g = {}, again = {};
    _cleanup_(error_done) Error err = {}, again_err = {};

    for (size_t i = 0; i < ELEMENTSOF(names) && left > 0; i++) {
        const char *end = memchr(p, SEPARATOR, left);

        parts[i] = (Part) { p, end ? (size_t) (end - p) : left };
        left -= parts[i].len + (end != NULL);
        p += parts[i].len + (end != NULL);
    }
    if (gather(parts, parts[1].start != NULL, &g, &err) < 0) {
        if (!err.id || g.text)
            abort();
        return 0;
    }
    check_result(&g);
    /* what the parser refuses comes to nothing again */
    if (g.is_same || g.n_lines == 0)
        return 0;
    const Part written[ELEMENTSOF(names)] = { { g.text, g.len }, { "{}\n", 3 } };
    if (gather(written, true, &again, &again_err) < 0 || !str_equal(g.text, again.text))
        abort();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Gathering of files that stand in a test. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/gather/gather.h"
#include "lib/base/strv.h"

typedef struct File {
    const char *path, *text;
} File;

static inline int read_file(const char *path, char **ret, size_t *ret_len, void *userdata, Error *err)
{
    for (const File *f = userdata; f->path; f++)
        if (str_equal(f->path, path)) {
            *ret = strdup(f->text);
            *ret_len = strlen(f->text);
            return 0;
        }
    return error_set(err, ENOENT, "gather.missing", "there is no %s", path);
}

/* A file without a text is a folder. */
static inline int look_at_file(const char *path, mode_t *ret_mode, void *userdata)
{
    for (const File *f = userdata; f->path; f++)
        if (str_equal(f->path, path)) {
            *ret_mode = f->text ? S_IFREG | 0640 : S_IFDIR | 0755;
            return 0;
        }
    return -ENOENT;
}

static inline int gather(const File *files, char *const *names, char *const *profiles, Gathered *ret, Error *err)
{
    const GatherOptions options = { .files = names, .profiles = profiles };
    const GatherSource source = { .read = read_file, .look = look_at_file, .userdata = (void *) files };

    return compose_gather(&options, &source, ret, err);
}

#define NAMES(...) ((char *[]) { __VA_ARGS__, NULL })

/* The same as it is written when files are gathered. */
static inline char *written(const char *text)
{
    const File files[] = { { "a.yml", text }, { "b.yml", "{}\n" }, {} };
    _cleanup_(gathered_done) Gathered out = {};
    _cleanup_(error_done) Error err = {};

    if (gather(files, NAMES("a.yml", "b.yml"), NULL, &out, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    return TAKE_PTR(out.text);
}

static inline void expect(const File *files, char *const *names, char *const *profiles, const char *text)
{
    _cleanup_(gathered_done) Gathered out = {};
    _cleanup_(error_done) Error err = {};

    if (gather(files, names, profiles, &out, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    _cleanup_(freep) char *expected = written(text);
    assert_string_equal(out.text, expected);
}

/* SPDX-License-Identifier: MIT */
/* A box's folders below a temporary one, for the tests of what the agent keeps on disk. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static char agent_root[64];

static inline int agent_root_make(void **state)
{
    static const char *const folders[] = { ETC_DIR, AGENT_STATE_DIR, RUN_DIR };

    (void) state;
    snprintf(agent_root, sizeof(agent_root), "/tmp/secbox-unit-XXXXXX");
    if (!mkdtemp(agent_root))
        return -1;
    paths_set_root(agent_root);
    for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
        _cleanup_(freep) char *path = path_in_root(folders[i]);

        if (!path || dir_make(path, 0700, (uid_t) -1, (gid_t) -1, NULL) < 0)
            return -1;
    }
    return 0;
}

static inline int agent_root_remove(void **state)
{
    (void) state;
    return dir_remove(agent_root, NULL);
}

/* Replaces the file, or removes it when text is NULL. */
static inline void agent_root_write(const char *path, const char *text)
{
    _cleanup_(freep) char *whole = path_in_root(path);

    if (text)
        assert_int_equal(file_write_atomic(whole, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    else
        assert_int_equal(file_remove(whole, NULL), 0);
}

static inline char *agent_root_read(const char *path)
{
    _cleanup_(freep) char *whole = path_in_root(path);
    char *text = NULL;

    return file_read(whole, 64 * 1024 * 1024, &text, NULL, NULL) == 0 ? text : NULL;
}

static inline cJSON *json_of(const char *text)
{
    _cleanup_(error_done) Error err = {};
    cJSON *o = NULL;
    int r = json_parse(text, strlen(text), &o, &err);

    if (r < 0)
        fail_msg("%s: %s", text, error_message(&err, r));
    return o;
}

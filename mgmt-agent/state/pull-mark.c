/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/pull-mark.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/boot-id.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/state-file.h"

#define MARK_FILE "pulling.json"

typedef struct PullMark {
    char **images;
    char *boot_id;
} PullMark;

static const JsonField fields[] = {
    { JSON_FIELD(PullMark, images, "images") },
    { JSON_FIELD(PullMark, boot_id, "bootId") },
    {},
};
static const JsonType type = JSON_TYPE(PullMark, fields);

int pull_mark_set(char *const *references, Error *err)
{
    _cleanup_(freep) char *boot_id = boot_id_read();
    const PullMark mark = { (char **) (uintptr_t) references, boot_id };

    if (!boot_id)
        return error_set(err, ENOMEM, "store.write", "no memory to write %s", MARK_FILE);
    return state_save(MARK_FILE, &type, &mark, err);
}

char **pull_mark_left(bool *ret_cut)
{
    _cleanup_(freep) char *boot_id = boot_id_read();
    char **images = NULL;
    PullMark mark = {};

    *ret_cut = false;
    if (state_load(MARK_FILE, &type, &mark, NULL) == 0) {
        *ret_cut = boot_id && !str_equal(boot_id, mark.boot_id);
        images = TAKE_PTR(mark.images);
    }
    json_done(&type, &mark);
    return images;
}

void pull_mark_clear(void)
{
    _cleanup_(freep) char *path = project_path(MARK_FILE);

    if (path)
        (void) unlink(path);
}

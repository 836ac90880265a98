/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/reported-changes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/state-file.h"

static char *reported_path(void)
{
    return project_path("reported.json");
}

static bool is_local(const cJSON *result)
{
    const char *version = json_string(result, "version");

    return version && str_starts(version, "local-") && json_string(result, "id");
}

/* The oldest result of a history (newest first) that the cloud has not acknowledged, borrowed. `last` is what was told last; when
 * it is not there any more, all is news. */
static const cJSON *find_next(const cJSON *history, const char *last)
{
    const cJSON *result, *next = NULL;

    cJSON_ArrayForEach(result, history) {
        if (last && str_equal(json_string(result, "id"), last))
            break;
        if (is_local(result))
            next = result;
    }
    return next;
}

int reported_note(const char *project, const char *id, Error *err)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(project);
    _cleanup_(freep) char *path = reported_path();
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *text = o && json_add_string(o, "id", id) == 0 ? json_print(o) : NULL;

    if (!path || !text)
        return error_set(err, ENOMEM, "store.write", "no memory for what the cloud was told");
    return state_write(path, text, strlen(text), err);
}

/* *ret is NULL when nothing was told yet, or the file cannot be read: then the cloud hears of it again. */
static int load_last(cJSON **ret)
{
    _cleanup_(freep) char *path = reported_path();
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;

    *ret = NULL;
    if (!path)
        return -ENOMEM;
    if (file_read(path, JSON_SIZE_MAX, &text, &len, NULL) == 0 && json_parse_object(text, len, ret, NULL) < 0)
        *ret = NULL;
    return 0;
}

int reported_begin(Error *err)
{
    _cleanup_(freep) char *path = reported_path();
    _cleanup_(cJSON_Deletep) cJSON *history = NULL;
    const char *id;
    int r;

    if (path && access(path, F_OK) == 0)
        return 0;
    r = store_load_history(1, &history, err);
    id = r == 0 ? json_string(cJSON_GetArrayItem(history, 0), "id") : NULL;
    return r == 0 ? reported_note(NULL, id ? id : "", err) : r;
}

/* Of the project that is looked at. */
static int next_of_project(cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *history = NULL;
    _cleanup_(cJSON_Deletep) cJSON *last = NULL;
    const cJSON *next;
    int r = load_last(&last);

    if (r == 0)
        r = store_load_history(STORE_HISTORY_MAX, &history, err);
    if (r < 0)
        return r;
    next = find_next(history, json_string(last, "id"));
    *ret = next ? cJSON_Duplicate(next, 1) : NULL;
    return next && !*ret ? -ENOMEM : 0;
}

int reported_next(cJSON **ret, Error *err)
{
    _cleanup_(strv_freep) char **others = NULL;
    int r = next_of_project(ret, err), listed = r == 0 && !*ret ? project_list_all(&others) : 0;

    if (listed == -ENOMEM)
        return listed;
    for (char **name = others; r == 0 && !*ret && name && *name; name++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(*name);

        if (next_of_project(ret, NULL) < 0) /* what is wrong with one is no reason to be silent about the next */
            *ret = NULL;
    }
    return r;
}

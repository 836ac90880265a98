/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/project.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define STOPPED_FILE "stopped.json"
#define PROJECTS_DIR AGENT_STATE_DIR "/projects"

static char own[PROJECT_NAME_MAX + 1] = PROJECT_OWN_DEFAULT;
static char other[PROJECT_NAME_MAX + 1]; /* "": the box's own */

void project_set_own(const char *name)
{
    if (name && strlen(name) < sizeof(own))
        snprintf(own, sizeof(own), "%s", name);
}

const char *project_own(void)
{
    return own;
}

const char *project_selected(void)
{
    return *other ? other : own;
}

bool project_is_own(void)
{
    return !*other;
}

ProjectScope project_enter(const char *name)
{
    ProjectScope scope;

    memcpy(scope.before, other, sizeof(other));
    snprintf(other, sizeof(other), "%s", project_name_is_good(name) && !str_equal(name, own) ? name : "");
    return scope;
}

void project_leave(ProjectScope *s)
{
    memcpy(other, s->before, sizeof(other));
}

/* What each project has for itself; all else is the box's. */
static bool is_of_project(const char *file)
{
    static const char *const files[] = { "current.json", "floor.json", "history.jsonl", "pulled-images.json",
                                         STOPPED_FILE };

    for (size_t i = 0; i < ELEMENTSOF(files); i++)
        if (str_equal(file, files[i]))
            return true;
    return str_equal(file, "snapshots") || str_starts(file, "snapshots/");
}

char *project_path(const char *file)
{
    _cleanup_(freep) char *path = *other && is_of_project(file) ? str_format(PROJECTS_DIR "/%s/%s", other, file)
                                                                : path_join(AGENT_STATE_DIR, file);

    return path ? path_in_root(path) : NULL;
}

int project_make_folder(Error *err)
{
    _cleanup_(freep) char *all = path_in_root(PROJECTS_DIR), *path = all ? path_join(all, other) : NULL;
    int r;

    if (project_is_own())
        return 0;
    if (!path)
        return error_set(err, ENOMEM, "store.write", "no memory for a project's folder");
    r = dir_make(all, 0700, (uid_t) -1, (gid_t) -1, err);
    return r == 0 ? dir_make(path, 0700, (uid_t) -1, (gid_t) -1, err) : r;
}

char *project_policy_path(void)
{
    _cleanup_(freep) char *path = *other ? str_format(ETC_DIR "/policy.d/%s.json", other) : strdup(POLICY_PATH);

    return path ? path_in_root(path) : NULL;
}

bool project_is_stopped(void)
{
    _cleanup_(freep) char *path = project_path(STOPPED_FILE);

    return path && access(path, F_OK) == 0;
}

int project_note_stopped(bool stopped, Error *err)
{
    _cleanup_(freep) char *path = project_path(STOPPED_FILE);

    if (!path)
        return error_set(err, ENOMEM, "store.write", "no memory to note that a project is stopped");
    return stopped ? file_write_atomic(path, "{}", 2, 0600, (uid_t) -1, (gid_t) -1, err) : file_remove(path, err);
}

int project_forget_deployed(Error *err)
{
    static const char *const files[] = { "current.json", STOPPED_FILE };
    _cleanup_(freep) char *snapshots = project_path("snapshots");
    int r = snapshots ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(files); i++) {
        _cleanup_(freep) char *path = project_path(files[i]);

        r = path ? file_remove(path, err) : -ENOMEM;
    }
    return r == 0 && access(snapshots, F_OK) == 0 ? dir_remove(snapshots, err) : r;
}

int project_list(char ***ret)
{
    _cleanup_(freep) char *path = path_in_root(PROJECTS_DIR);
    _cleanup_(strv_freep) char **names = NULL;
    DIR *dir = path ? opendir(path) : NULL;
    int r = !path ? -ENOMEM : dir || errno == ENOENT ? 0 : -errno;

    for (struct dirent *e; r == 0 && dir && (e = readdir(dir));)
        if (project_name_is_good(e->d_name) && !str_equal(e->d_name, own))
            r = strv_add(&names, e->d_name);
    if (dir)
        closedir(dir);
    strv_sort(names);
    *ret = r == 0 ? TAKE_PTR(names) : NULL;
    return r;
}

bool project_is_known(const char *name)
{
    _cleanup_(freep) char *all = path_in_root(PROJECTS_DIR), *path = all && name ? path_join(all, name) : NULL;

    return str_equal(name, own) || (project_name_is_good(name) && path && access(path, F_OK) == 0);
}

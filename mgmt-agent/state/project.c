/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/project.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define STOPPED_FILE "stopped.json"
#define REMOVED_FILE "removed.json"
/* So long the history of one that was removed is kept. */
#define REMOVED_DAYS 180
/* A clock that stands before it has not been set yet: what it says of ages counts for nothing. */
#define CLOCK_IS_SET_AFTER 1577836800
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
    static const char *const files[] = { "current.json", "floor.json",         "history.jsonl", "pulled-images.json",
                                         STOPPED_FILE,   REMOVED_FILE,         "reported.json", "services.json",
                                         "updates.json", "updates-failed.json" };

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

static bool is_noted(const char *file)
{
    _cleanup_(freep) char *path = project_path(file);

    return path && access(path, F_OK) == 0;
}

static int note(const char *file, bool on, Error *err)
{
    _cleanup_(freep) char *path = project_path(file);

    if (!path)
        return error_set(err, ENOMEM, "store.write", "no memory to write down what became of a project");
    return on ? file_write_atomic(path, "{}", 2, 0600, (uid_t) -1, (gid_t) -1, err) : file_remove(path, err);
}

int project_check_room(Error *err)
{
    _cleanup_(strv_freep) char **names = NULL;
    int r = project_is_own() ? 0 : project_list(&names);

    if (r < 0)
        return error_set(err, -r, "store.read", "which projects this box has cannot be read: %s", strerror(-r));
    if (project_is_own() || strv_length(names) < PROJECTS_MAX || strv_contains(names, other))
        return 0;
    return error_set(err, E2BIG, "project.too-many",
                     "this box has %d projects beside %s already, and takes no more: remove one that is not needed "
                     "(`secboxctl apps` lists them, `secboxctl remove PROJECT` removes one)",
                     PROJECTS_MAX, own);
}

int project_make_folder(Error *err)
{
    _cleanup_(freep) char *all = path_in_root(PROJECTS_DIR), *path = all ? path_join(all, other) : NULL;
    int r;

    if (project_is_own())
        return 0;
    r = project_check_room(err);
    if (r < 0)
        return r;
    if (!path)
        return error_set(err, ENOMEM, "store.write", "no memory for a project's folder");
    r = dir_make(all, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r == 0)
        r = dir_make(path, 0700, (uid_t) -1, (gid_t) -1, err);
    return r == 0 ? note(REMOVED_FILE, false, err) : r;
}

char *project_policy_path(void)
{
    _cleanup_(freep) char *path = *other ? str_format(ETC_DIR "/policy.d/%s.json", other) : strdup(POLICY_PATH);

    return path ? path_in_root(path) : NULL;
}

bool project_is_stopped(void)
{
    return is_noted(STOPPED_FILE);
}

int project_note_stopped(bool stopped, Error *err)
{
    return note(STOPPED_FILE, stopped, err);
}

bool project_is_removed(void)
{
    return is_noted(REMOVED_FILE);
}

int project_forget_deployed(Error *err)
{
    static const char *const files[] = { "current.json", STOPPED_FILE, "services.json", "updates.json",
                                         "updates-failed.json" };
    _cleanup_(freep) char *snapshots = project_path("snapshots");
    int r = snapshots ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(files); i++) {
        _cleanup_(freep) char *path = project_path(files[i]);

        r = path ? file_remove(path, err) : -ENOMEM;
    }
    if (r == 0 && access(snapshots, F_OK) == 0)
        r = dir_remove(snapshots, err);
    return r == 0 && !project_is_own() ? note(REMOVED_FILE, true, err) : r;
}

int project_list_all(char ***ret)
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

int project_list(char ***ret)
{
    _cleanup_(strv_freep) char **all = NULL, **names = NULL;
    int r = project_list_all(&all);

    for (char **name = all; r == 0 && name && *name; name++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(*name);

        if (!project_is_removed())
            r = strv_add(&names, *name);
    }
    *ret = r == 0 ? TAKE_PTR(names) : NULL;
    return r;
}

typedef struct Removed {
    const char *name;
    time_t at;
} Removed;

static int compare_removed(const void *a, const void *b)
{
    const Removed *one = a, *two = b;

    return (one->at < two->at) - (one->at > two->at); /* the last one first */
}

/* `list` has a place for each name; how many are removed. */
static size_t find_removed(char *const *names, Removed *list)
{
    size_t n = 0;

    for (size_t i = 0; names && names[i]; i++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(names[i]);
        _cleanup_(freep) char *path = project_path(REMOVED_FILE);
        struct stat st;

        if (path && lstat(path, &st) == 0)
            list[n++] = (Removed) { names[i], st.st_mtime };
    }
    return n;
}

void project_sweep_removed(void)
{
    _cleanup_(strv_freep) char **names = NULL;
    _cleanup_(freep) char *all = path_in_root(PROJECTS_DIR);
    _cleanup_(freep) Removed *list = NULL;
    time_t now = time(NULL);
    size_t n;

    if (!all || project_list_all(&names) < 0 || !names || !(list = calloc(strv_length(names), sizeof(*list))))
        return;
    n = find_removed(names, list);
    qsort(list, n, sizeof(*list), compare_removed);
    for (size_t i = 0; i < n; i++) {
        bool is_old = list[i].at > CLOCK_IS_SET_AFTER && now > list[i].at + (time_t) REMOVED_DAYS * 86400;
        _cleanup_(freep) char *path = i >= PROJECTS_REMOVED_MAX || is_old ? path_join(all, list[i].name) : NULL;
        _cleanup_(error_done) Error err = {};
        int r = path ? dir_remove(path, &err) : 0;

        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot remove what was kept of project %s", list[i].name);
    }
}

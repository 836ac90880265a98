/* SPDX-License-Identifier: MIT */
/* openat2(RESOLVE_NO_SYMLINKS) would answer in one call, but not say which component is at fault, nor whose each of them is. */
#include "mgmt-agent/worker/phases/bind-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "compose/policy/bind-rules.h"
#include "lib/base/strv.h"

void bind_walk_done(BindWalk *w)
{
    if (w->parent >= 0)
        close(w->parent);
    w->parent = -1;
}

static int fault_error(BindFault fault, const char *component, const struct stat *st, Error *err)
{
    static const char *const words[] = {
        [BIND_LINK] =
            "is a link, and the way to a mounted path must lead through real folders; write the path that it leads to",
        [BIND_NO_FOLDER] = "is no folder",
        [BIND_OWNER] = "does not belong to root, so another could be put in the place of what is in it",
        [BIND_WRITABLE] = "can be written by others than root, so another could be put in the place of what is in it",
    };

    if (fault == BIND_LINK || fault == BIND_NO_FOLDER)
        return error_set(err, EPERM, "preflight.bind-way", "%s %s", component, words[fault]);
    return error_set(err, EPERM, "preflight.bind-way",
                     "%s (owner %u:%u, mode %04o) %s; do: chown root: %s; chmod go-w %s, or mount a folder directly in "
                     "/var/lib/tucomunidad/volumes",
                     component, (unsigned) st->st_uid, (unsigned) st->st_gid, (unsigned) (st->st_mode & 07777),
                     words[fault], component, component);
}

/* Of the folders on the way, the first that is the podman user's although only sockets may lie in such a one. */
typedef struct Tolerated {
    bool any;
    char component[PATH_MAX];
    struct stat st;
} Tolerated;

static bool is_in_runtime_dir(const PodmanUser *user, const char *component, const struct stat *st)
{
    return user->runtime_dir && st->st_uid == user->uid && path_is_below(component, user->runtime_dir);
}

/* Opens `name` in `at`, closing that, and judges it. */
static int enter(int *at, const char *name, const char *component, const PodmanUser *user, Tolerated *t, Error *err)
{
    int fd = openat(*at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    BindFault fault;

    if (fd < 0)
        return error_set(err, errno, "preflight.bind-missing", "%s cannot be reached: %s; make it, or correct the path",
                         component, strerror(errno));
    close(*at);
    *at = fd;
    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "preflight.bind-missing", "%s cannot be looked at: %s", component,
                         strerror(errno));
    fault = bind_judge_component(st.st_mode, st.st_uid, geteuid());
    if (fault == BIND_OWNER && is_in_runtime_dir(user, component, &st)) {
        if (!t->any) {
            t->any = true;
            t->st = st;
            memcpy(t->component, component, strlen(component) + 1);
        }
        fault = st.st_mode & (S_IWGRP | S_IWOTH) ? BIND_WRITABLE : BIND_SOUND;
    }
    return fault == BIND_SOUND ? 0 : fault_error(fault, component, &st, err);
}

static int inspect_end(BindWalk *w, const Tolerated *t, const char *path, Error *err)
{
    w->exists = fstatat(w->parent, w->name, &w->st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!w->exists && errno != ENOENT)
        return error_set(err, errno, "preflight.bind-missing", "%s cannot be looked at: %s", path, strerror(errno));
    if (t->any && !(w->exists && S_ISSOCK(w->st.st_mode)))
        return fault_error(BIND_OWNER, t->component, &t->st, err);
    return 0;
}

int bind_walk(const char *path, const PodmanUser *user, BindWalk *ret, Error *err)
{
    char so_far[PATH_MAX] = "/";
    Tolerated tolerated = {};
    BindWalk w = { .parent = -1 };
    const char *p = path;
    int r;

    *ret = w;
    if (path[0] != '/' || !path[1] || strlen(path) >= sizeof(so_far))
        return error_set(err, EINVAL, "preflight.bind-missing", "'%.200s' is no absolute path", path);
    w.parent = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w.parent < 0)
        return error_set(err, errno, "preflight.bind-missing", "/ cannot be opened: %s", strerror(errno));
    r = enter(&w.parent, ".", "/", user, &tolerated, err);
    for (;;) {
        size_t len = strcspn(p + 1, "/");
        char name[NAME_MAX + 1];

        w.name = p + 1;
        if (r < 0 || !p[1 + len])
            break;
        if (len > NAME_MAX)
            r = error_set(err, ENAMETOOLONG, "preflight.bind-missing", "a name in %.200s is too long", path);
        if (r < 0)
            break;
        memcpy(name, p + 1, len);
        name[len] = '\0';
        p += 1 + len;
        memcpy(so_far, path, (size_t) (p - path));
        so_far[p - path] = '\0';
        r = enter(&w.parent, name, so_far, user, &tolerated, err);
    }
    if (r == 0)
        r = inspect_end(&w, &tolerated, path, err);
    if (r < 0)
        bind_walk_done(&w);
    else
        *ret = w;
    return r;
}

int bind_make_folder(const BindWalk *w, const char *path, mode_t mode, uid_t uid, gid_t gid, Error *err)
{
    int fd = -1, r = 0;

    if (mkdirat(w->parent, w->name, 0700) < 0)
        return error_set(err, errno, "file.write", "cannot make %s: %s", path, strerror(errno));
    fd = openat(w->parent, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (geteuid() == 0 && fchown(fd, uid, gid) < 0) || fchmod(fd, mode) < 0)
        r = error_set(err, errno, "file.write", "cannot hand over %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return r;
}

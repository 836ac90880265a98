/* SPDX-License-Identifier: MIT */
/* The kernel tells of changes in the files' folders; a slow beat looks, too, since a link's target lies elsewhere, a folder may not
 * be there yet, and we may not be allowed to watch it. What decides is always the look. */
#include "lib/event/config-watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

#define BEAT (20 * USEC_PER_SEC)
#define SETTLE (500 * USEC_PER_MSEC)
#define EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR)

/* All zeros: there is none. */
typedef struct Stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    uid_t uid;
    gid_t gid;
    mode_t mode;
    struct timespec modified, changed;
    bool readable;
} Stamp;

typedef struct WatchedFile {
    char *path;
    const char *name;
    Stamp known, seen; /* as the program has it, and at the last look */
    sd_event_source *folder;
    ConfigWatch *watch;
} WatchedFile;

struct ConfigWatch {
    sd_event *event;
    sd_event_source *timer;
    bool settling;
    config_changed_t on_change;
    void *userdata;
    WatchedFile **files; /* each at its own address, which the kernel's events come with */
    size_t n;
};

static Stamp look(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (Stamp) {};
    return (Stamp) { .device = st.st_dev,
                     .inode = st.st_ino,
                     .size = st.st_size,
                     .uid = st.st_uid,
                     .gid = st.st_gid,
                     .mode = st.st_mode,
                     .modified = st.st_mtim,
                     .changed = st.st_ctim,
                     .readable = access(path, R_OK) == 0 };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const Stamp *a, const Stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->uid == b->uid &&
           a->gid == b->gid && a->mode == b->mode && same_time(a->modified, b->modified) &&
           same_time(a->changed, b->changed) && a->readable == b->readable;
}

static WatchedFile *file_free(WatchedFile *f)
{
    if (!f)
        return NULL;
    sd_event_source_disable_unref(f->folder);
    free(f->path);
    free(f);
    return NULL;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static int look_again(ConfigWatch *w, usec_t delay)
{
    w->settling = delay == SETTLE;
    return timer_arm(w->event, &w->timer, delay, on_timer, w);
}

static int on_folder(sd_event_source *source _unused_, const struct inotify_event *e, void *userdata)
{
    const WatchedFile *f = userdata;

    if ((e->len > 0 && !str_equal(e->name, f->name)) || f->watch->settling)
        return 0;
    return look_again(f->watch, SETTLE);
}

/* No watch is no fault: then the beat sees it. */
static void watch_folder(WatchedFile *f)
{
    _cleanup_(freep) char *folder = strndup(f->path, (size_t) (f->name - f->path));

    f->folder = sd_event_source_disable_unref(f->folder);
    if (folder && sd_event_add_inotify(f->watch->event, &f->folder, folder, EVENTS, on_folder, f) < 0)
        f->folder = NULL;
}

/* Still: nothing has moved since the look before. */
static void look_at_all(ConfigWatch *w, bool *ret_still, bool *ret_changed)
{
    *ret_still = true;
    *ret_changed = false;
    for (size_t i = 0; i < w->n; i++) {
        WatchedFile *f = w->files[i];
        Stamp now = look(f->path);

        *ret_still = *ret_still && is_same(&now, &f->seen);
        *ret_changed = *ret_changed || !is_same(&now, &f->known);
        f->seen = now;
    }
}

static void take_as_known(ConfigWatch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        w->files[i]->known = w->files[i]->seen;
        watch_folder(w->files[i]); /* it may be there only now, or another one under the same name */
    }
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    ConfigWatch *w = userdata;
    bool still, changed;

    look_at_all(w, &still, &changed);
    int r = look_again(w, still ? BEAT : SETTLE);
    if (r >= 0 && still && changed) {
        take_as_known(w);
        w->on_change(w->userdata);
    }
    return r;
}

int config_watch_new(sd_event *event, config_changed_t on_change, void *userdata, ConfigWatch **ret, Error *err)
{
    ConfigWatch *w = calloc(1, sizeof(*w));

    if (!w)
        return error_from_errno(err, -ENOMEM, "cannot watch the configuration");
    *w = (ConfigWatch) { .event = sd_event_ref(event), .on_change = on_change, .userdata = userdata };
    int r = look_again(w, BEAT);
    if (r < 0) {
        config_watch_free(w);
        return error_from_errno(err, r, "cannot watch the configuration");
    }
    *ret = w;
    return 0;
}

static WatchedFile *take_file(ConfigWatch *w, const char *path)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->files[i] && str_equal(w->files[i]->path, path))
            return TAKE_PTR(w->files[i]);
    WatchedFile *f = calloc(1, sizeof(*f));
    const char *slash = strrchr(path, '/');
    if (!f || !slash || !(f->path = strdup(path)))
        return file_free(f);
    f->watch = w;
    f->name = f->path + (slash - path) + 1;
    watch_folder(f);
    f->known = f->seen = look(path);
    return f;
}

int config_watch_set(ConfigWatch *w, const char *const *paths)
{
    size_t n = 0;
    int r = 0;

    while (paths[n])
        n++;
    WatchedFile **files = calloc(n + 1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (!(files[i] = take_file(w, paths[i])))
            r = -ENOMEM;
    for (size_t i = 0; i < w->n; i++)
        file_free(w->files[i]);
    free(w->files);
    w->files = files;
    w->n = 0;
    for (size_t i = 0; i < n; i++)
        if (files[i])
            files[w->n++] = files[i];
    return r;
}

ConfigWatch *config_watch_free(ConfigWatch *w)
{
    if (!w)
        return NULL;
    for (size_t i = 0; i < w->n; i++)
        file_free(w->files[i]);
    free(w->files);
    sd_event_source_disable_unref(w->timer);
    sd_event_unref(w->event);
    free(w);
    return NULL;
}

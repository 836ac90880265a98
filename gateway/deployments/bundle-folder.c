/* SPDX-License-Identifier: MIT */
#include "gateway/deployments/bundle-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/paths.h"
#include "lib/base/tmp-sweep.h"
#include "lib/data/bundle.h"
#include "lib/event/saver.h"

#define SELF "/proc/self/exe"
#define TOPIC "%s %s" /* folder, digest */
#define SAVE_WAIT (120 * USEC_PER_SEC)

struct BundleFolder {
    sd_event *event;
    const char *name;
    char *path;
    Requests *requests;
    const BundleFolderEvents *events;
    void *userdata;
    Saver *saver;
    Map *saving; /* digest → Saving, owned */
};

typedef struct Saving {
    BundleFolder *folder;
    char digest[BUNDLE_DIGEST_SIZE];
} Saving;

typedef struct SavingNews {
    const BundleFolder *folder;
    bool written;
} SavingNews;

char *bundle_folder_path(const BundleFolder *f, const char *digest)
{
    return path_join(f->path, digest + strlen(BUNDLE_DIGEST_PREFIX));
}

bool bundle_folder_is_saving(const BundleFolder *f, const char *digest)
{
    return map_get(f->saving, digest);
}

static void on_saved(bool written, void *userdata)
{
    const Saving *s = userdata;
    BundleFolder *f = s->folder;
    const SavingNews news = { f, written };
    char digest[BUNDLE_DIGEST_SIZE];

    memcpy(digest, s->digest, sizeof(digest));
    map_remove(f->saving, digest);
    if (f->events->written)
        f->events->written(f->userdata);
    requests_tell(f->requests, &news, TOPIC, f->name, digest);
}

static int start_saving(BundleFolder *f, const char *digest, const void *data, size_t len, Error *err)
{
    _cleanup_(freep) char *path = bundle_folder_path(f, digest);
    Saving *s = path ? calloc(1, sizeof(*s)) : NULL;
    int r;

    if (!s)
        return -ENOMEM;
    s->folder = f;
    memcpy(s->digest, digest, sizeof(s->digest));
    r = map_put(f->saving, digest, s);
    if (r < 0) {
        free(s);
        return r;
    }
    r = dir_make(f->path, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r == 0)
        r = saver_write_data(f->saver, path, data, len, on_saved, s);
    if (r < 0)
        map_remove(f->saving, digest);
    return r;
}

void bundle_folder_not_kept(Request *c)
{
    _cleanup_(error_done) Error err = {};

    request_fail_status(c, 507,
                        error_set(&err, ENOSPC, "bundle.not-kept",
                                  "the gateway cannot keep what belongs to this push now: is its disk full?"),
                        &err);
}

static void on_save_news(Request *c, const void *news)
{
    const SavingNews *saving = news;

    if (saving && saving->written)
        saving->folder->events->answer(c);
    else
        bundle_folder_not_kept(c);
}

int bundle_folder_receive(const BundleFolder *f, const char *digest, const BundleWriterEvents *events, void *userdata,
                          BundleWriter **ret, Error *err)
{
    _cleanup_(freep) char *path = bundle_folder_path(f, digest);
    int r = path ? dir_make(f->path, 0700, (uid_t) -1, (gid_t) -1, err) : error_from_errno(err, -ENOMEM, "keep files");

    return r < 0 ? r : bundle_writer_new(f->event, SELF, path, events, userdata, ret, err);
}

void bundle_folder_busy(Request *c)
{
    _cleanup_(error_done) Error err = {};

    request_fail_status(
        c, 503, error_set(&err, EBUSY, "bundle.busy", "the gateway's disk is busy: try again in a moment"), &err);
}

void bundle_folder_save(BundleFolder *f, Request *c, const void *data, size_t len)
{
    _cleanup_(error_done) Error err = {};
    int r = bundle_folder_is_saving(f, c->args[0]) ? 0 : start_saving(f, c->args[0], data, len, &err);

    if (r == -EBUSY || r == -ENOBUFS)
        bundle_folder_busy(c);
    else if (r < 0)
        request_fail(c, r, &err);
    else
        request_wait(c, SAVE_WAIT, on_save_news, TOPIC, f->name, c->args[0]);
}

void bundle_folder_sweep(const BundleFolder *f,
                         bool (*is_done)(const char *name, const struct stat *st, const void *userdata),
                         const void *userdata)
{
    DIR *dir = opendir(f->path);
    struct stat st;

    (void) tmp_sweep(f->path, false);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            is_done(e->d_name, &st, userdata) && unlinkat(dirfd(dir), e->d_name, 0) < 0)
            log_warning("%s in %s stays: %s", e->d_name, f->path, strerror(errno));
    if (dir)
        closedir(dir);
}

int bundle_folder_new(sd_event *event, const char *state_dir, const char *name, Requests *requests,
                      const BundleFolderEvents *events, void *userdata, BundleFolder **ret, Error *err)
{
    _cleanup_(bundle_folder_freep) BundleFolder *f = calloc(1, sizeof(*f));
    int r;

    if (!f)
        return -ENOMEM;
    *f = (BundleFolder) { .event = event, .name = name, .requests = requests, .events = events, .userdata = userdata };
    f->path = path_join(state_dir, name);
    f->saving = map_new(free);
    if (!f->path || !f->saving)
        return -ENOMEM;
    (void) tmp_sweep(f->path, false);
    r = saver_new(event, SELF, &f->saver, err);
    if (r == 0)
        *ret = TAKE_PTR(f);
    return r;
}

BundleFolder *bundle_folder_free(BundleFolder *f)
{
    if (!f)
        return NULL;
    saver_free(f->saver);
    map_free(f->saving);
    free(f->path);
    free(f);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* A snapshot that a rollback may return to has its files, and so have the containers that run; nothing else is kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/bundle-store-impl.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/made-file.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"

#define OLD "old-"
#define ID_MIN 32
/* secboxctl removes its own when it has its answer; one that was killed does not */
#define LOCAL_AGE_MAX 3600

/* Names below BUNDLES_DIR, and below FILES_DIR. */
typedef struct Wanted {
    char **bundles, **places;
    bool all_places; /* it is not known yet which are mounted */
} Wanted;

static void wanted_done(Wanted *w)
{
    strv_free(w->bundles);
    strv_free(w->places);
}

static int want_places(const char *hex, Wanted *w)
{
    _cleanup_(freep) char *name = str_format("%s/placed", hex), *path = name ? bundle_store_path(name) : NULL;
    _cleanup_(freep) char *text = NULL;
    int r = path ? file_read(path, PLACED_MAX, &text, NULL, NULL) : -ENOMEM;

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (char *line = text, *next; r == 0 && *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        r = strv_add(&w->places, line);
    }
    return r;
}

static int want_snapshot(const char *version, Wanted *w)
{
    _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;
    _cleanup_(error_done) Error unused = {};
    const char *digest = NULL;
    int r = store_load_snapshot(version, &snapshot, &unused);

    if (r == 0)
        r = bundle_of_snapshot(snapshot, &digest, &unused);
    if (r < 0 || !digest)
        return r;
    r = strv_add(&w->bundles, digest + strlen(BUNDLE_DIGEST_PREFIX));
    return r == 0 ? want_places(digest + strlen(BUNDLE_DIGEST_PREFIX), w) : r;
}

static int want_named(const char *version, Wanted *w)
{
    int r = version ? want_snapshot(version, w) : 0;

    return r == -ENOENT ? 0 : r;
}

/* What the containers mount that this was made of. */
static int want_mounted(const Current *c, Wanted *w)
{
    int r = 0;

    for (size_t i = 0; c && i < c->n_services; i++) {
        const cJSON *volume;

        cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(c->services[i].config, "volumes")) {
            _cleanup_(freep) char *place = NULL;

            if (r == 0)
                r = made_file_place(json_string(volume, "source"), &place);
            if (r == 0 && place)
                r = strv_add(&w->places, place);
        }
    }
    return r;
}

/* By their names, too: the list of snapshots is a short one. */
static int want_present(Wanted *w)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(journal_done) Journal journal = {};
    int r = current_load(&current, NULL);
    bool is_journals;

    if (r == 0)
        r = journal_load(&journal, NULL);
    is_journals = journal_is_of_selected(&journal);
    if (r == 0 && current)
        r = want_named(current->version, w);
    if (r == 0 && current)
        r = want_named(current->previous, w);
    if (r == 0)
        r = want_mounted(current, w);
    if (r < 0 || !is_journals)
        return r;
    if (journal.state != DEPLOY_IDLE)
        r = want_mounted(journal.project, w);
    /* what becomes current is written down when it is proved, and made before that */
    w->all_places = journal.state != DEPLOY_IDLE && journal.state != DEPLOY_PREPARING && !journal.project;
    return r == 0 ? want_named(journal.version, w) : r;
}

static int want_of_project(Wanted *w)
{
    _cleanup_(strv_freep) char **versions = NULL;
    int r = store_list_snapshots(&versions);

    for (char **version = versions; r == 0 && version && *version; version++)
        r = want_snapshot(*version, w);
    return r < 0 ? r : want_present(w);
}

static int want_all(Wanted *w)
{
    _cleanup_(strv_freep) char **others = NULL;
    int r = project_list(&others);

    for (size_t i = 0; r == 0 && i <= strv_length(others); i++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(i == 0 ? NULL : others[i - 1]);

        r = want_of_project(w);
    }
    return r;
}

/* Names that we give: digests, what is on its way there, and what is on its way out. Others may have put something here, too. */
static bool is_ours(const char *name)
{
    return str_starts(name, "new-") || str_starts(name, OLD) || strspn(name, "0123456789abcdef") >= ID_MIN;
}

/* Under its own name there is never half of it. */
static int remove_whole(const char *folder, const char *name, Error *err)
{
    _cleanup_(freep) char *below = path_join(folder, name), *old = str_format("%s/" OLD "%s", folder, name);

    if (!below || !old)
        return -ENOMEM;
    if (unlink(below) == 0)
        return 0;
    if (str_starts(name, OLD))
        return dir_remove(below, err);
    return rename(below, old) < 0 ? -errno : dir_remove(old, err);
}

static bool is_left_behind(DIR *dir, const char *name)
{
    struct stat st;

    return str_starts(name, LOCAL_BUNDLE_NAME) && fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (time_t) (realtime_usec() / USEC_PER_SEC) - st.st_mtim.tv_sec > LOCAL_AGE_MAX;
}

static void remove_others(const char *folder, char *const *wanted)
{
    _cleanup_(freep) char *path = path_in_root(folder);
    DIR *dir = path ? opendir(path) : NULL;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        _cleanup_(error_done) Error err = {};
        int r;

        if ((!is_ours(e->d_name) && !is_left_behind(dir, e->d_name)) || strv_contains(wanted, e->d_name))
            continue;
        r = remove_whole(path, e->d_name, &err);
        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot remove the files of an earlier snapshot");
    }
    if (dir)
        closedir(dir);
}

void bundle_store_sweep(void)
{
    _cleanup_(wanted_done) Wanted wanted = {};
    _cleanup_(closep) int lock = -1;
    _cleanup_(freep) char *folder = path_in_root(BUNDLES_DIR);

    /* most boxes never had any */
    if (!folder || access(folder, F_OK) < 0 || bundle_store_lock(LOCK_EX | LOCK_NB, &lock, NULL) < 0)
        return;
    if (want_all(&wanted) < 0) {
        log_warning("The files of earlier snapshots stay until all snapshots can be read");
        return;
    }
    remove_others(BUNDLES_DIR, wanted.bundles);
    if (!wanted.all_places)
        remove_others(FILES_DIR, wanted.places);
}

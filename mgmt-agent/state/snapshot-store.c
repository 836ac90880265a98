/* SPDX-License-Identifier: MIT */
/* Files below AGENT_STATE_DIR; every write is atomic and durable. */

#include "mgmt-agent/state/snapshot-store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/state-file.h"

#define HISTORY_BYTES_MAX (4 * 1024 * 1024)
#define SNAPSHOT_FILES_MAX 64
/* PostgreSQL's bigint, with room; and a step that is larger than any clock's, so that clocks may serve as versions */
#define VERSION_MAX (UINT64_C(1) << 62)
#define VERSION_STEP_MAX (UINT64_C(1) << 61)

/* *ret is NULL when the file is missing. */
static int load_json(const char *name, cJSON **ret, Error *err)
{
    int r = state_file_load(name, ret, err);

    return r == -ENOENT ? 0 : r;
}

int store_check_version(const char *version, Error *err)
{
    const char *p = str_starts(version, "local-") ? version + 6 : version;
    size_t n = 0;

    while (isalnum((unsigned char) p[n]))
        n++;
    if (n == 0 || n > 40 || p[n] != '\0')
        return error_set(err, EINVAL, "snapshot.bad-version", "'%.60s' is not a snapshot version (digits)", version);
    return 0;
}

int store_save_snapshot(const char *version, const cJSON *snapshot, Error *err)
{
    _cleanup_(freep) char *folder = project_path("snapshots");
    _cleanup_(freep) char *name = str_format("snapshots/%s.json", version);
    int r = store_check_version(version, err);
    struct stat st;

    if (r < 0)
        return r;
    if (!folder || !name)
        return error_set(err, ENOMEM, "store.write", "no memory to write a snapshot");
    /* what is no folder holds no snapshots; a link to one may be how a site has more room */
    if (stat(folder, &st) == 0 ? !S_ISDIR(st.st_mode) : lstat(folder, &st) == 0)
        r = state_set_aside(folder, err);
    if (r == 0)
        r = dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err);
    return r < 0 ? r : state_file_save(name, snapshot, err);
}

int store_load_snapshot(const char *version, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *name = str_format("snapshots/%s.json", version);
    int r = store_check_version(version, err);

    if (r < 0)
        return r;
    if (!name)
        return -ENOMEM;
    r = load_json(name, ret, err);
    if (r == 0 && !*ret)
        return error_set(err, ENOENT, "snapshot.unknown", "snapshot %s is not kept on this box any more", version);
    return r;
}

typedef struct SnapshotFile {
    char *name;
    struct timespec changed;
} SnapshotFile;

static int compare_newest_first(const void *a, const void *b)
{
    const SnapshotFile *x = a, *y = b;

    if (x->changed.tv_sec != y->changed.tv_sec)
        return x->changed.tv_sec < y->changed.tv_sec ? 1 : -1;
    return x->changed.tv_nsec < y->changed.tv_nsec ? 1 : x->changed.tv_nsec > y->changed.tv_nsec ? -1 : 0;
}

static bool snapshot_is_named(const char *file, const char *version)
{
    return version && str_starts(file, version) && str_equal(file + strlen(version), ".json");
}

static size_t list_newest_first(DIR *dir, SnapshotFile *files, size_t max)
{
    size_t n = 0;

    for (struct dirent *e; n < max && (e = readdir(dir));) {
        struct stat st;

        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        files[n] = (SnapshotFile) { .name = strdup(e->d_name), .changed = st.st_mtim };
        if (files[n].name)
            n++;
    }
    qsort(files, n, sizeof(files[0]), compare_newest_first);
    return n;
}

static DIR *open_snapshots(void)
{
    _cleanup_(freep) char *folder = project_path("snapshots");

    return folder ? opendir(folder) : NULL;
}

void store_prune_snapshots(const char *keep_a, const char *keep_b)
{
    DIR *dir = open_snapshots();
    SnapshotFile files[SNAPSHOT_FILES_MAX];
    size_t n;

    if (!dir)
        return;
    n = list_newest_first(dir, files, ELEMENTSOF(files));
    for (size_t i = 0; i < n; i++) {
        if (i >= STORE_SNAPSHOTS_KEPT && !snapshot_is_named(files[i].name, keep_a) &&
            !snapshot_is_named(files[i].name, keep_b))
            (void) unlinkat(dirfd(dir), files[i].name, 0);
        free(files[i].name);
    }
    closedir(dir);
}

int bundle_of_snapshot(const cJSON *snapshot, const char **ret, Error *err)
{
    const cJSON *bundle = cJSON_GetObjectItemCaseSensitive(snapshot, "bundle");

    *ret = json_string(bundle, "digest");
    if (!bundle || (*ret && bundle_digest_is_valid(*ret)))
        return 0;
    return error_set(err, EINVAL, "bundle.bad-digest",
                     "the snapshot's `bundle` has no digest like sha256: and 64 hexadecimal digits");
}

int store_list_snapshots(char ***ret)
{
    DIR *dir = open_snapshots();
    SnapshotFile files[SNAPSHOT_FILES_MAX];
    _cleanup_(strv_freep) char **versions = NULL;
    size_t n = dir ? list_newest_first(dir, files, ELEMENTSOF(files)) : 0;
    int r = 0;

    for (size_t i = 0; i < n; i++) {
        if (r == 0 && str_ends(files[i].name, ".json"))
            r = strv_take(&versions, strndup(files[i].name, strlen(files[i].name) - strlen(".json")));
        free(files[i].name);
    }
    if (dir)
        closedir(dir);
    *ret = TAKE_PTR(versions);
    return r;
}

int store_load_floor(uint64_t *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    uint64_t floor = 0;
    int r = load_json("floor.json", &o, err);

    if (r < 0)
        return r;
    if (o && json_u64(o, "floor", &floor) < 0)
        return error_set(err, EINVAL, "store.read", "floor.json holds no version");
    *ret = floor;
    return 0;
}

uint64_t store_highest_snapshot(void)
{
    _cleanup_(freep) char *folder = project_path("snapshots");
    DIR *dir = folder ? opendir(folder) : NULL;
    uint64_t highest = 0, version;

    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));) {
        _cleanup_(freep) char *name = strndup(e->d_name, strcspn(e->d_name, "."));

        if (name && str_to_u64(name, 1, UINT64_MAX, &version) == 0 && version > highest)
            highest = version;
    }
    closedir(dir);
    return highest;
}

int store_check_step(uint64_t version, uint64_t floor, Error *err)
{
    if (version <= floor)
        return error_set(err, ESTALE, "snapshot.older-version",
                         "version %llu is not above %llu, the highest this box has accepted",
                         (unsigned long long) version, (unsigned long long) floor);
    if (version > VERSION_MAX || version - floor > VERSION_STEP_MAX)
        return error_set(err, ERANGE, "snapshot.version-jump",
                         "version %llu is so far above %llu that none could follow it for long; count in smaller steps",
                         (unsigned long long) version, (unsigned long long) floor);
    return 0;
}

int store_save_floor(uint64_t floor, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_u64(o, "floor", floor) < 0)
        return error_set(err, ENOMEM, "store.write", "no memory for the version floor");
    return state_file_save("floor.json", o, err);
}

/* Start of the newest n lines of text. */
static const char *last_lines(const char *text, size_t n)
{
    const char *p = text + strlen(text);

    while (p > text) {
        if (p[-1] == '\n' && p[0] != '\0' && n-- == 1)
            return p;
        p--;
    }
    return text;
}

/* The part of the old history that leaves room for `len` bytes more, at a line's start: the newest counts, not the oldest. */
static const char *newest_that_fit(const char *old, size_t len)
{
    const char *p = last_lines(old, STORE_HISTORY_MAX - 1);

    while (*p && strlen(p) + 1 + len > HISTORY_BYTES_MAX) {
        p += strcspn(p, "\n");
        p += *p == '\n';
    }
    return p;
}

static int read_history(char **ret, Error *err)
{
    _cleanup_(freep) char *path = project_path("history.jsonl");
    int r = path ? file_read(path, HISTORY_BYTES_MAX, ret, NULL, err) : -ENOMEM;

    if (r == -ENOENT) {
        error_done(err);
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
    }
    return r;
}

int store_add_history(const cJSON *result, Error *err)
{
    _cleanup_(freep) char *path = project_path("history.jsonl");
    _cleanup_(freep) char *line = json_print(result);
    _cleanup_(freep) char *old = NULL;
    _cleanup_(error_done) Error unreadable = {};
    Buf b = BUF_INIT(HISTORY_BYTES_MAX);
    int r;

    if (!path || !line)
        return error_set(err, ENOMEM, "store.write", "no memory for the history");
    /* a history that cannot be read is started again: it must never stop a deployment */
    if (read_history(&old, &unreadable) < 0)
        old = strdup("");
    r = old ? buf_puts(&b, newest_that_fit(old, strlen(line) + 1)) : -ENOMEM;
    if (r == 0 && b.len > 0 && b.data[b.len - 1] != '\n')
        r = buf_puts(&b, "\n");
    if (r == 0)
        r = buf_printf(&b, "%s\n", line);
    if (r == 0)
        r = state_write(path, b.data, b.len, err);
    buf_done(&b);
    return r;
}

int store_load_history(size_t limit, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *array = cJSON_CreateArray();
    int r;

    if (!array)
        return -ENOMEM;
    r = read_history(&text, err);
    if (r < 0)
        return r;
    for (const char *p = limit > 0 ? last_lines(text, limit) : ""; *p;) {
        size_t len = strcspn(p, "\n");
        cJSON *entry = NULL;

        if (json_parse_object(p, len, &entry, NULL) == 0 && !cJSON_InsertItemInArray(array, 0, entry)) {
            cJSON_Delete(entry);
            return -ENOMEM;
        }
        p += len + (p[len] == '\n');
    }
    *ret = TAKE_PTR(array);
    return 0;
}

int store_save_unacked(const cJSON *result, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_STATE_DIR "/unacked.json");

    if (result)
        return state_file_save("unacked.json", result, err);
    return path ? file_remove(path, err) : -ENOMEM;
}

int store_load_unacked(cJSON **ret, Error *err)
{
    return load_json("unacked.json", ret, err);
}

static int add_file_digest(Buf *b, const char *path)
{
    _cleanup_(freep) char *text = NULL;
    char hex[SHA256_HEX_SIZE] = "";
    size_t len = 0;

    if (!path)
        return -ENOMEM;
    if (file_read(path, ENV_FILE_SIZE_MAX, &text, &len, NULL) == 0 && sha256_hex(text, len, hex) < 0)
        return -EIO;
    return buf_printf(b, "%s\n", hex);
}

int store_inputs_digest(const char *compose, const char *bundle, char **ret, Error *err)
{
    _cleanup_(freep) char *env = path_in_root(SECBOX_ENV_PATH), *policy = project_policy_path();
    Buf b = BUF_INIT(1024);
    char hex[SHA256_HEX_SIZE];
    int r = bundle_snapshot_digest(compose, bundle, hex);

    if (r == 0)
        r = buf_printf(&b, "%s\n", hex);
    if (r == 0)
        r = add_file_digest(&b, env);
    if (r == 0)
        r = add_file_digest(&b, policy);
    if (r == 0)
        r = sha256_hex(b.data, b.len, hex);
    buf_done(&b);
    if (r < 0)
        return error_set(err, r, "store.digest", "cannot digest the snapshot's inputs");
    *ret = strdup(hex);
    return *ret ? 0 : -ENOMEM;
}

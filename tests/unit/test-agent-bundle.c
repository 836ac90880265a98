/* SPDX-License-Identifier: MIT */
/* Files that travel with a snapshot: the archive that is made of them, what comes out of one that somebody else made, and what the
 * box keeps. */
#include "tests/unit/agent-root.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "lib/base/buf.h"
#include "lib/data/bundle.h"
#include "mgmt-agent/state/bundle-store.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/phases/made-files.h"

#define WORK "/work"

static void put(const char *name, const char *text, mode_t mode)
{
    _cleanup_(freep) char *inside = str_format(WORK "/%s", name), *path = path_in_root(inside);
    _cleanup_(freep) char *folder = strndup(path, (size_t) (strrchr(path, '/') - path));

    assert_int_equal(dir_make(folder, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static char *work_path(const char *name)
{
    _cleanup_(freep) char *inside = str_format(WORK "/%s", name);

    return path_in_root(inside);
}

static int add(BundlePack *p, const char *path, Error *err)
{
    _cleanup_(freep) char *source = work_path(path);

    return bundle_pack_add(p, path, source, err);
}

typedef struct Archive {
    char *data;
    size_t len;
    char digest[BUNDLE_DIGEST_SIZE];
} Archive;

static void archive_done(Archive *a)
{
    free(a->data);
}

static void pack(const char *const *paths, Archive *ret)
{
    _cleanup_(bundle_pack_freep) BundlePack *p = bundle_pack_new();
    _cleanup_(error_done) Error err = {};
    int r = 0;

    for (; r == 0 && *paths; paths++)
        r = add(p, *paths, &err);
    if (r == 0)
        r = bundle_pack_finish(p, &ret->data, &ret->len, ret->digest, &err);
    if (r < 0)
        fail_msg("%s", error_message(&err, r));
}

static void the_same_files_are_the_same_archive(void **state)
{
    _cleanup_(archive_done) Archive one = {}, other = {}, third = {};

    (void) state;
    put("site/nginx.conf", "server {}\n", 0644);
    put("site/conf.d/a.conf", "a\n", 0600);
    put("site/conf.d/b.sh", "b\n", 0755);
    pack((const char *[]) { "site/nginx.conf", "site/conf.d", NULL }, &one);
    put("site/conf.d/a.conf", "a\n", 0640); /* written anew: another time, another mode of what nobody else reads */
    pack((const char *[]) { "site/conf.d", "site/nginx.conf", "site/nginx.conf", NULL }, &other);
    assert_string_equal(one.digest, other.digest);
    assert_true(bundle_digest_is_valid(one.digest));
    put("site/conf.d/b.sh", "b\n", 0644);
    pack((const char *[]) { "site/conf.d", "site/nginx.conf", NULL }, &third);
    assert_string_not_equal(one.digest, third.digest);
}

static void a_name_in_any_language_travels(void **state)
{
    static const char name[] = "site/se\xc3\xb1"
                               "al.conf";
    _cleanup_(archive_done) Archive a = {};
    _cleanup_(freep) char *to = work_path("unpacked"), *there = NULL, *text = NULL;
    _cleanup_(error_done) Error err = {};

    (void) state;
    put(name, "abierto\n", 0644);
    pack((const char *[]) { name, NULL }, &a);
    assert_int_equal(dir_make(to, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    if (bundle_unpack(a.data, a.len, to, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    there = path_join(to, name);
    assert_int_equal(file_read(there, 64, &text, NULL, NULL), 0);
    assert_string_equal(text, "abierto\n");
}

static void what_cannot_travel_is_refused(void **state)
{
    static const struct {
        const char *path, *id;
    } cases[] = {
        { "odd/link", "bundle.bad-entry" }, /* in a folder: see below */
        { "odd/pipe", "bundle.bad-entry" }, { "odd/none", "bundle.read" },
        { "odd/a:b", "bundle.bad-path" },   { "odd/../odd/file", "bundle.bad-path" },
    };
    _cleanup_(freep) char *link = NULL, *pipe = NULL;

    (void) state;
    put("odd/file", "x", 0644);
    put("odd/a:b", "x", 0644);
    put("links/file", "x", 0644);
    link = work_path("links/link");
    assert_int_equal(symlink("/etc/passwd", link), 0);
    pipe = work_path("odd/pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(bundle_pack_freep) BundlePack *p = bundle_pack_new();
        _cleanup_(error_done) Error err = {};
        const char *path = i == 0 ? "links" : cases[i].path;

        assert_true(add(p, path, &err) < 0);
        assert_string_equal(error_id(&err), cases[i].id);
    }
}

static la_ssize_t on_write(struct archive *a, void *userdata, const void *data, size_t len)
{
    (void) a;
    assert_int_equal(buf_append(userdata, data, len), 0);
    return (la_ssize_t) len;
}

/* An archive as somebody makes it who wants more than to send files. */
typedef struct Entry {
    const char *path, *link, *hard;
    unsigned kind;
    mode_t mode;
    const char *id; /* of the error; NULL: it is taken */
    const char *again;
} Entry;

static void write_entry(struct archive *a, const Entry *from, const char *path)
{
    struct archive_entry *e = archive_entry_new();

    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, from->kind);
    archive_entry_set_perm(e, from->mode);
    archive_entry_set_uid(e, 1234);
    archive_entry_set_size(e, from->kind == AE_IFREG && !from->hard ? 1 : 0);
    if (from->link)
        archive_entry_set_symlink(e, from->link);
    if (from->hard)
        archive_entry_set_hardlink(e, from->hard);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    if (from->kind == AE_IFREG && !from->hard)
        assert_int_equal(archive_write_data(a, "x", 1), 1);
    archive_entry_free(e);
}

static void write_archive(const Entry *entry, Buf *out)
{
    struct archive *a = archive_write_new();

    assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open(a, out, NULL, on_write, NULL), ARCHIVE_OK);
    write_entry(a, entry, entry->path);
    if (entry->again)
        write_entry(a, entry, entry->again);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static void only_plain_files_come_out(void **state)
{
    static const Entry entries[] = {
        { .path = "a/b.conf", .kind = AE_IFREG, .mode = 0644 },
        { .path = "run.sh", .kind = AE_IFREG, .mode = 06777 },
        { .path = "folder/", .kind = AE_IFDIR, .mode = 0777, .id = "bundle.damaged" }, /* nothing in it */
        { .path = "../out", .kind = AE_IFREG, .mode = 0644, .id = "bundle.bad-path" },
        { .path = "a/../../out", .kind = AE_IFREG, .mode = 0644, .id = "bundle.bad-path" },
        { .path = "/tmp/secbox-bundle-out", .kind = AE_IFREG, .mode = 0644, .id = "bundle.bad-path" },
        { .path = "a\nb", .kind = AE_IFREG, .mode = 0644, .id = "bundle.bad-path" },
        { .path = "link", .kind = AE_IFLNK, .link = "/etc/passwd", .mode = 0777, .id = "bundle.bad-entry" },
        { .path = "hard", .kind = AE_IFREG, .hard = "/etc/passwd", .mode = 0644, .id = "bundle.bad-entry" },
        { .path = "null", .kind = AE_IFCHR, .mode = 0666, .id = "bundle.bad-entry" },
        { .path = "pipe", .kind = AE_IFIFO, .mode = 0666, .id = "bundle.bad-entry" },
        { .path = "same", .again = "same", .kind = AE_IFREG, .mode = 0644, .id = "bundle.bad-entry" },
        { .path = "file", .again = "file/below", .kind = AE_IFREG, .mode = 0644, .id = "bundle.write" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(entries); i++) {
        _cleanup_(freep) char *folder = work_path("out"), *file = path_join(folder, entries[i].path);
        _cleanup_(buf_done) Buf out = BUF_INIT(1024 * 1024);
        _cleanup_(error_done) Error err = {};
        struct stat st;
        int r;

        assert_int_equal(dir_remove(folder, NULL), 0);
        assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
        write_archive(&entries[i], &out);
        r = bundle_unpack(out.data, out.len, folder, &err);
        if (entries[i].id) {
            if (r == 0 || !str_equal(error_id(&err), entries[i].id))
                fail_msg("%s: %d %s", entries[i].path, r, error_id(&err));
            continue;
        }
        if (r < 0)
            fail_msg("%s: %s", entries[i].path, error_message(&err, r));
        assert_int_equal(lstat(file, &st), 0);
        assert_int_equal(st.st_mode & 07777, entries[i].mode & S_IXUSR ? 0755 : 0644);
        assert_int_equal(st.st_uid, geteuid());
    }
    assert_int_not_equal(access("/tmp/secbox-bundle-out", F_OK), 0);
}

/* The digest has been asked before; here nothing breaks, whatever byte is another or missing. */
static void a_damaged_archive_is_refused(void **state)
{
    _cleanup_(archive_done) Archive whole = {};
    _cleanup_(freep) char *folder = work_path("cut"), *file = work_path("cut/site/nginx.conf");
    size_t refused = 0;

    (void) state;
    put("site/nginx.conf", "server {}\n", 0644);
    pack((const char *[]) { "site/nginx.conf", NULL }, &whole);
    for (size_t i = 0; i < whole.len; i++) {
        _cleanup_(freep) char *flipped = malloc(whole.len);

        memcpy(flipped, whole.data, whole.len);
        flipped[i] = (char) (flipped[i] ^ 0x20);
        assert_int_equal(dir_remove(folder, NULL), 0);
        assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
        (void) !bundle_unpack(flipped, whole.len, folder, NULL);
        assert_int_equal(dir_clear(folder, NULL), 0);
        if (bundle_unpack(whole.data, i, folder, NULL) < 0)
            refused++;
        else
            assert_int_equal(access(file, F_OK), 0); /* only zeros were cut off */
    }
    assert_true(refused > 30);
}

static void save_snapshot(const char *version, const char *digest)
{
    _cleanup_(freep) char *text =
        digest ? str_format("{\"version\":\"%s\",\"compose\":\"x\",\"bundle\":{\"digest\":\"%s\"}}", version, digest)
               : str_format("{\"version\":\"%s\",\"compose\":\"x\"}", version);
    _cleanup_(cJSON_Deletep) cJSON *snapshot = json_of(text);

    assert_int_equal(store_save_snapshot(version, snapshot, NULL), 0);
}

static void leave(const Archive *a)
{
    _cleanup_(freep) char *name = str_format(LINK_BUNDLES_DIR "/%s", a->digest + strlen(BUNDLE_DIGEST_PREFIX)),
                          *path = path_in_root(name), *folder = path_in_root(LINK_BUNDLES_DIR);

    assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(path, a->data, a->len, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static char *place(const char *digest, const char *path)
{
    _cleanup_(kept_bundle_freep) KeptBundle *b = NULL;
    _cleanup_(error_done) Error err = {};
    char *at = NULL;
    int r = kept_bundle_open(digest, &b, &err);

    if (r == 0)
        r = kept_bundle_place(b, path, getegid(), &at, &err);
    if (r < 0)
        fail_msg("%s", error_message(&err, r));
    return at;
}

static unsigned count_in(const char *folder)
{
    _cleanup_(freep) char *path = path_in_root(folder);
    DIR *dir = opendir(path);
    unsigned n = 0;

    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.' && !str_equal(e->d_name, "lock");
    if (dir)
        closedir(dir);
    return n;
}

static void a_file_that_stays_the_same_stays_where_it_is(void **state)
{
    _cleanup_(archive_done) Archive before = {}, after = {};
    _cleanup_(freep) char *one = NULL, *same = NULL, *other = NULL, *changed = NULL, *files = path_in_root(FILES_DIR);
    _cleanup_(freep) char *text = NULL;
    struct stat st;

    (void) state;
    put("web/nginx.conf", "one\n", 0644);
    put("web/init/1.sql", "create\n", 0600);
    pack((const char *[]) { "web/nginx.conf", "web/init", NULL }, &before);
    put("web/init/1.sql", "create more\n", 0600);
    pack((const char *[]) { "web/nginx.conf", "web/init", NULL }, &after);
    leave(&before);
    leave(&after);
    one = place(before.digest, "web/nginx.conf");
    same = place(after.digest, "web/nginx.conf");
    other = place(before.digest, "web/init");
    changed = place(after.digest, "web/init");
    assert_string_equal(one, same);
    assert_string_not_equal(other, changed);
    assert_true(str_ends(one, "/nginx.conf") && str_ends(other, "/init"));
    assert_int_equal(file_read(one, 100, &text, NULL, NULL), 0);
    assert_string_equal(text, "one\n");
    assert_int_equal(stat(one, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(stat(files, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    /* the second one's files go with its snapshot, what the first one has as well stays */
    save_snapshot("1", before.digest);
    save_snapshot("2", NULL);
    bundle_store_sweep();
    assert_int_equal(access(one, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_not_equal(access(changed, F_OK), 0);
    assert_int_equal(count_in(BUNDLES_DIR), 1);
    assert_int_equal(count_in(FILES_DIR), 2);
}

static void nothing_goes_while_it_may_be_needed(void **state)
{
    _cleanup_(archive_done) Archive a = {};
    _cleanup_(kept_bundle_freep) KeptBundle *b = NULL;

    (void) state;
    put("web/a.conf", "a\n", 0644);
    pack((const char *[]) { "web/a.conf", NULL }, &a);
    leave(&a);
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), 0);
    bundle_store_sweep(); /* a job works with it */
    assert_int_equal(kept_bundle_find(b, "web/a.conf"), KEPT_FILE);
    assert_int_equal(kept_bundle_find(b, "web"), KEPT_FOLDER);
    assert_int_equal(kept_bundle_find(b, "../placed"), KEPT_NOTHING);
    assert_int_equal(kept_bundle_find(NULL, "web"), KEPT_NOTHING);
    b = kept_bundle_free(b);
    save_snapshot("1", NULL);
    agent_root_write(AGENT_STATE_DIR "/snapshots/9.json", "{"); /* it may be the one that came with it */
    bundle_store_sweep();
    assert_int_equal(count_in(BUNDLES_DIR), 1);
    agent_root_write(AGENT_STATE_DIR "/snapshots/9.json", NULL);
    bundle_store_sweep();
    assert_int_equal(count_in(BUNDLES_DIR), 0);
}

static void expect_sealed(int r, const Error *err)
{
    assert_int_equal(r, -EPERM);
    assert_string_equal(error_id(err), "bundle.sealed");
    assert_non_null(strstr(err->message, "cannot be an env_file, a config or a mount besides"));
}

static void what_is_sealed_is_a_secret_and_nothing_else(void **state)
{
    static const char path[] = "web/s";
    DeployTarget t = { .seal_key = { 1 }, .has_seal_key = true };
    ComposeMadeFile secret = { .service = "a", .name = "s", .path = path, .is_secret = true, .uid = -1, .gid = -1 };
    ComposeMadeFile config = { .service = "a", .name = "c", .path = path, .uid = -1, .gid = -1, .mode = 0400 };
    _cleanup_(bundle_pack_freep) BundlePack *p = bundle_pack_new();
    _cleanup_(freep) char *place = NULL, *none = NULL;
    _cleanup_(error_done) Error err = {}, other = {};
    _cleanup_(archive_done) Archive a = {};
    char *sealed = NULL;
    size_t len = 0;

    (void) state;
    put(path, "hunter2\n", 0644);
    put("web/open", "hunter2\n", 0644);
    assert_true(add(p, path, NULL) == 0 && add(p, "web/open", NULL) == 0);
    assert_int_equal(seal_file(t.seal_key, path, "hunter2\n", strlen("hunter2\n"), &sealed, &len), 0);
    bundle_pack_replace(p, str_equal(bundle_pack_path(p, 0), path) ? 0 : 1, sealed, len);
    assert_int_equal(bundle_pack_finish(p, &a.data, &a.len, a.digest, NULL), 0);
    leave(&a);
    assert_int_equal(kept_bundle_open(a.digest, &t.bundle, NULL), 0);
    assert_int_equal(deploy_check_unsealed(&t, "web/open", NULL), 0);
    expect_sealed(deploy_check_unsealed(&t, path, &err), &err);
    expect_sealed(deploy_make_file(&config, &none, &t, &other), &other);
    assert_int_equal(deploy_make_file(&secret, &place, &t, NULL), 0);
    t.made = map_free(t.made);
    t.bundle = kept_bundle_free(t.bundle);
}

static void what_did_not_come_as_it_was_sent_is_not_unpacked(void **state)
{
    _cleanup_(archive_done) Archive a = {};
    _cleanup_(kept_bundle_freep) KeptBundle *b = NULL;
    _cleanup_(error_done) Error missing = {}, other = {};
    _cleanup_(freep) char *inside = NULL, *fetched = NULL, *folder = path_in_root(LINK_BUNDLES_DIR);

    (void) state;
    put("web/a.conf", "a\n", 0644);
    pack((const char *[]) { "web/a.conf", NULL }, &a);
    assert_int_equal(kept_bundle_open(a.digest, &b, &missing), -ENOENT);
    assert_string_equal(error_id(&missing), "bundle.not-here");
    assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    inside = str_format(LINK_BUNDLES_DIR "/%s", a.digest + strlen(BUNDLE_DIGEST_PREFIX));
    agent_root_write(inside, "something else");
    assert_true(kept_bundle_open(a.digest, &b, &other) < 0);
    assert_string_equal(error_id(&other), "bundle.digest");
    assert_int_equal(count_in(BUNDLES_DIR), 0);
    fetched = path_in_root(inside);
    assert_int_equal(file_write_atomic(fetched, a.data, a.len, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), 0);
}

/* Where a run of secboxctl leaves an archive; of its age. */
static char *leave_here(const Archive *a, const char *run, time_t age)
{
    _cleanup_(freep) char *name = str_format(LOCAL_BUNDLE "%s-%s", a->digest + strlen(BUNDLE_DIGEST_PREFIX), run);
    _cleanup_(freep) char *path = path_in_root(name), *folder = path_in_root(BUNDLES_DIR);
    const time_t then = (time_t) (realtime_usec() / USEC_PER_SEC) - age;
    const struct timespec times[] = { { .tv_sec = then }, { .tv_sec = then } };

    assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(path, a->data, a->len, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    return TAKE_PTR(path);
}

static void what_secboxctl_leaves_is_taken_and_does_not_pile_up(void **state)
{
    _cleanup_(archive_done) Archive a = {};
    _cleanup_(kept_bundle_freep) KeptBundle *b = NULL;
    _cleanup_(freep) char *left = NULL, *other = NULL;

    (void) state;
    put("web/a.conf", "a\n", 0644);
    pack((const char *[]) { "web/a.conf", NULL }, &a);
    left = leave_here(&a, "7", 0);
    bundle_store_sweep(); /* the job that it is for comes yet */
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), 0);
    assert_int_equal(kept_bundle_find(b, "web/a.conf"), KEPT_FILE);
    b = kept_bundle_free(b);
    bundle_store_sweep();
    assert_int_equal(count_in(BUNDLES_DIR), 1);

    /* another one that has its name is not it */
    a.data[a.len - 1] ^= 1;
    freep(&left);
    left = leave_here(&a, "7", 0);
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), -ENOENT);
    a.data[a.len - 1] ^= 1;
    /* nor is it in the way of the one that another run has left */
    other = leave_here(&a, "8", 0);
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), 0);
    b = kept_bundle_free(b);
    assert_int_equal(unlink(other), 0);
    bundle_store_sweep();
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), -ENOENT);
    leave(&a);
    assert_int_equal(kept_bundle_open(a.digest, &b, NULL), 0);
    b = kept_bundle_free(b);

    /* nobody waits for it any more */
    freep(&left);
    left = leave_here(&a, "7", 2 * 3600);
    bundle_store_sweep();
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(count_in(BUNDLES_DIR), 0);
}

static void expect_differences(const KeptBundle *before, const KeptBundle *after, size_t max, const char *wanted,
                               size_t more)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    size_t left = 0;

    assert_int_equal(kept_bundle_compare(before, after, max, &list, &left, NULL), 0);
    _cleanup_(freep) char *text = json_print(list);
    assert_string_equal(text, wanted);
    assert_int_equal(left, more);
}

static void what_differs_is_told(void **state)
{
    _cleanup_(archive_done) Archive before = {}, after = {};
    _cleanup_(kept_bundle_freep) KeptBundle *one = NULL, *other = NULL;

    (void) state;
    put("web/a.conf", "a\n", 0644);
    put("web/b.conf", "b\n", 0644);
    put("web/run.sh", "run\n", 0644);
    put("web/same", "same\n", 0644);
    pack((const char *[]) { "web/a.conf", "web/b.conf", "web/run.sh", "web/same", NULL }, &before);
    put("web/b.conf", "another\n", 0644);
    put("web/run.sh", "run\n", 0755); /* what may be run is another file */
    put("web/c.conf", "c\n", 0644);
    pack((const char *[]) { "web/b.conf", "web/c.conf", "web/run.sh", "web/same", NULL }, &after);
    leave(&before);
    leave(&after);
    assert_int_equal(kept_bundle_open(before.digest, &one, NULL), 0);
    assert_int_equal(kept_bundle_open(after.digest, &other, NULL), 0);
    expect_differences(one, other, 9,
                       "[{\"path\":\"web/b.conf\",\"change\":\"changed\"},"
                       "{\"path\":\"web/c.conf\",\"change\":\"added\"},"
                       "{\"path\":\"web/run.sh\",\"change\":\"changed\"},"
                       "{\"path\":\"web/a.conf\",\"change\":\"removed\"}]",
                       0);
    expect_differences(one, other, 1, "[{\"path\":\"web/b.conf\",\"change\":\"changed\"}]", 3);
    expect_differences(one, one, 9, "[]", 0);
    expect_differences(NULL, NULL, 9, "[]", 0);
    expect_differences(NULL, one, 1, "[{\"path\":\"web/a.conf\",\"change\":\"added\"}]", 3);
    expect_differences(one, NULL, 1, "[{\"path\":\"web/a.conf\",\"change\":\"removed\"}]", 3);
}

static void a_snapshot_is_known_by_its_files_too(void **state)
{
    static const char digest[] = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    char plain[SHA256_HEX_SIZE], with[SHA256_HEX_SIZE], text[SHA256_HEX_SIZE];

    (void) state;
    assert_int_equal(sha256_hex("x", 1, text), 0);
    assert_int_equal(bundle_snapshot_digest("x", NULL, plain), 0);
    assert_int_equal(bundle_snapshot_digest("x", digest, with), 0);
    assert_string_equal(plain, text);
    assert_string_not_equal(with, text);
    assert_false(bundle_digest_is_valid(NULL));
    assert_false(bundle_digest_is_valid("sha256:0"));
    assert_false(bundle_digest_is_valid("sha256:../../../../../../../../../../../../../../../../../../../../../a"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, agent_root_make, agent_root_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_files_are_the_same_archive),
        TEST(a_name_in_any_language_travels),
        TEST(what_cannot_travel_is_refused),
        TEST(only_plain_files_come_out),
        TEST(a_damaged_archive_is_refused),
        TEST(a_file_that_stays_the_same_stays_where_it_is),
        TEST(nothing_goes_while_it_may_be_needed),
        TEST(what_is_sealed_is_a_secret_and_nothing_else),
        TEST(what_did_not_come_as_it_was_sent_is_not_unpacked),
        TEST(what_differs_is_told),
        TEST(what_secboxctl_leaves_is_taken_and_does_not_pile_up),
        TEST(a_snapshot_is_known_by_its_files_too),
    };

    return cmocka_run_group_tests_name("agent-bundle", tests, NULL, NULL);
}

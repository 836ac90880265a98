/* SPDX-License-Identifier: MIT */
/* Releases of the data plane without containers: what an archive may hold, where it comes to be, and what is written down of it. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/data/bundle.h"
#include "lib/data/digest.h"
#include "lib/data/release-folder.h"
#include "lib/data/release-record.h"

#define HEX "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" /* of "foo" */
#define FILE_OF(path) "{\"path\":\"" path "\",\"sha256\":\"" HEX "\"}"
#define BOTH FILE_OF("bin/secbox") "," FILE_OF("bin/relay-client")
#define MANIFEST(version, arch, files) "{\"version\":\"" version "\",\"arch\":\"" arch "\",\"files\":[" files "]}"

static void what_a_manifest_has_to_say(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { MANIFEST("1.2.3~dev4.gabc+x", "amd64", BOTH), true },
        { MANIFEST("1", "arm64", BOTH "," FILE_OF("share/a b")), true },
        { "{\"version\":\"1\",\"arch\":\"amd64\",\"files\":[" BOTH "],\"later\":1}", true },
        { MANIFEST("", "amd64", BOTH), false },
        { MANIFEST("../1", "amd64", BOTH), false },
        { MANIFEST(".unpacked", "amd64", BOTH), false },
        { MANIFEST("1/2", "amd64", BOTH), false },
        { MANIFEST("1", "", BOTH), false },
        { MANIFEST("1", "amd64", FILE_OF("bin/secbox")), false },
        { MANIFEST("1", "amd64", ""), false },
        { MANIFEST("1", "amd64", BOTH "," FILE_OF("bin/secbox")), false },
        { MANIFEST("1", "amd64", BOTH "," FILE_OF("/etc/passwd")), false },
        { MANIFEST("1", "amd64", BOTH "," FILE_OF("../x")), false },
        { MANIFEST("1", "amd64", BOTH "," FILE_OF("manifest.json")), false },
        { MANIFEST("1", "amd64", BOTH ",{\"path\":\"x\"}"), false },
        { MANIFEST("1", "amd64", BOTH ",{\"path\":\"x\",\"sha256\":\"00\"}"), false },
        { "{\"version\":1,\"arch\":\"amd64\",\"files\":[" BOTH "]}", false },
        { "{}", false },
        { "[]", false },
        { "", false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(release_manifest_done) ReleaseManifest m = {};
        _cleanup_(error_done) Error err = {};
        int r = release_manifest_parse(cases[i].text, strlen(cases[i].text), &m, &err);

        if ((r == 0) != cases[i].good || (r < 0 && !str_equal(err.id, "release.bad-manifest")))
            fail_msg("case %zu: %d %s", i, r, error_message(&err, r));
    }
}

static char *at(const char *below)
{
    _cleanup_(freep) char *inside = path_join(RELEASE_DIR, below);

    return path_in_root(inside);
}

static void put(const char *folder, const char *name, const char *text, mode_t mode)
{
    _cleanup_(freep) char *path = path_join(folder, name);
    _cleanup_(freep) char *parent = strndup(path, (size_t) (strrchr(path, '/') - path));

    assert_int_equal(dir_make(parent, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, (uid_t) -1, (gid_t) -1, NULL), 0);
}

/* An archive whose programs hold `content`, with one file more, unless it is NULL. */
static int unpack(const char *manifest, const char *content, const char *more, ReleaseManifest *m, Error *err)
{
    static const char *const names[] = { "manifest.json", "bin", "more" };
    _cleanup_(bundle_pack_freep) BundlePack *p = bundle_pack_new();
    _cleanup_(freep) char *folder = path_in_root("/made"), *data = NULL;
    char digest[BUNDLE_DIGEST_SIZE];
    size_t len = 0;

    assert_int_equal(dir_remove(folder, NULL), 0);
    put(folder, "bin/secbox", content, 0755);
    put(folder, "bin/relay-client", content, 0755);
    if (manifest)
        put(folder, "manifest.json", manifest, 0644);
    if (more)
        put(folder, "more", more, 0644);
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(freep) char *source = path_join(folder, names[i]);
        if (access(source, F_OK) == 0)
            assert_int_equal(bundle_pack_add(p, names[i], source, NULL), 0);
    }
    assert_int_equal(bundle_pack_finish(p, &data, &len, digest, NULL), 0);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_int_equal(fd_write_all(fd, data, len), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    int r = release_unpack(fd, m, err);
    close(fd);
    return r;
}

static char *manifest_of(const char *version, const char *arch)
{
    return str_format("{\"version\":\"%s\",\"arch\":\"%s\",\"files\":[" BOTH "]}", version, arch);
}

static void what_an_archive_has_to_hold(void **state)
{
    _cleanup_(freep) char *good = manifest_of("1", release_arch()), *other = manifest_of("1", "pdp11");
    const struct {
        const char *manifest, *content, *more, *expected;
    } cases[] = {
        { good, "foo", NULL, NULL },
        { good, "bar", NULL, "release.bad-content" },
        { good, "foo", "x", "release.bad-content" },
        { other, "foo", NULL, "release.other-machine" },
        { NULL, "foo", NULL, "release.bad-manifest" },
        { "{", "foo", NULL, "release.bad-manifest" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(release_manifest_done) ReleaseManifest m = {};
        _cleanup_(error_done) Error err = {};
        int r = unpack(cases[i].manifest, cases[i].content, cases[i].more, &m, &err);

        if ((r == 0) != !cases[i].expected || !str_equal(err.id, cases[i].expected))
            fail_msg("case %zu: %d %s", i, r, error_message(&err, r));
    }
    ReleaseManifest m;
    _cleanup_(error_done) Error err = {};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(release_unpack(fd, &m, &err) < 0);
    close(fd);
    assert_string_equal(err.id, "bundle.damaged");
}

static void bring(const char *version)
{
    _cleanup_(release_manifest_done) ReleaseManifest m = {};
    _cleanup_(freep) char *manifest = manifest_of(version, release_arch());

    assert_int_equal(unpack(manifest, "foo", NULL, &m, NULL), 0);
    assert_string_equal(m.version, version);
    assert_int_equal(release_place(version, NULL), 0);
}

static void assert_current(const char *expected)
{
    _cleanup_(freep) char *current = NULL;

    assert_int_equal(release_current(&current, NULL), 0);
    assert_string_equal(current, expected);
}

static bool is_there(const char *below)
{
    _cleanup_(freep) char *path = at(below);

    return access(path, X_OK) == 0;
}

static void one_release_follows_another(void **state)
{
    _cleanup_(freep) char *link = at("current");
    _cleanup_(error_done) Error err = {};
    char *none = NULL;

    (void) state;
    assert_current(RELEASE_OF_PACKAGE);
    bring("1");
    assert_true(is_there("releases/1/bin/secbox") && !is_there("releases/.unpacked"));
    assert_current(RELEASE_OF_PACKAGE);
    assert_int_equal(release_switch("releases/2", &err), -ENOENT);
    assert_string_equal(err.id, "release.missing");
    assert_int_equal(release_switch("releases/1", NULL), 0);
    assert_current("releases/1");
    bring("2");
    bring("2"); /* once more */
    bring("3");
    assert_int_equal(release_switch("releases/3", NULL), 0);
    assert_int_equal(release_sweep("releases/3", "releases/1", NULL), 0);
    assert_true(is_there("releases/1/bin/secbox") && !is_there("releases/2") && is_there("releases/3/bin/secbox"));
    assert_int_equal(release_switch(RELEASE_OF_PACKAGE, NULL), 0);
    assert_current(RELEASE_OF_PACKAGE);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("../somewhere", link), 0);
    error_done(&err);
    assert_int_equal(release_current(&none, &err), -EBADMSG);
    assert_string_equal(err.id, "release.damaged");
}

static void what_is_written_down(void **state)
{
    _cleanup_(freep) char *path = path_in_root(RELEASE_STATE_DIR "/record.json");
    _cleanup_(error_done) Error err = {};
    ReleaseRecord record = { .seconds = 5, .relay = true }, read = {};

    (void) state;
    assert_int_equal(release_record_load(&read, NULL), 0);
    assert_true(read.state == RELEASE_NONE && !release_record_is_open(&read));
    record.id = strdup("a1");
    record.from = strdup(RELEASE_OF_PACKAGE);
    record.to = strdup("releases/1");
    for (int s = RELEASE_STAGED; s < _RELEASE_STATES; s++) {
        assert_int_equal(release_record_enter(&record, (ReleaseState) s, NULL), 0);
        assert_int_equal(release_record_load(&read, NULL), 0);
        assert_string_equal(release_state_name(read.state), release_state_name(s));
        assert_true(release_record_is_open(&read) == (s < RELEASE_CONFIRMED));
        assert_true(read.relay && !read.tunnel && read.seconds == 5 && read.boot && str_equal(read.to, "releases/1"));
        release_record_done(&read);
    }
    release_record_done(&record);
    assert_int_equal(file_write_atomic(path, "{\"state\":\"proving\"}", 19, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_true(release_record_load(&read, &err) < 0);
    assert_string_equal(err.id, "release.damaged");
    error_done(&err);
    assert_int_equal(file_write_atomic(path, "{\"state\":1}", 11, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(release_record_load(&read, &err), -EBADMSG);
    assert_string_equal(err.id, "release.damaged");
    assert_non_null(strstr(err.message, "remove it"));
    int one = release_lock(NULL);
    assert_true(one >= 0 && release_lock(NULL) == -EBUSY);
    close(one);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, agent_root_make, agent_root_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_manifest_has_to_say),
        TEST(what_an_archive_has_to_hold),
        TEST(one_release_follows_another),
        TEST(what_is_written_down),
    };

    return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}

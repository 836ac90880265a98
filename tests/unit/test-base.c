/* SPDX-License-Identifier: MIT */
/* lib/base: what the rest of the tree leans on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/base/buf.h"
#include "lib/cli/cli.h"
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/error.h"
#include "lib/base/fileio.h"
#include "lib/base/map.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"

static void test_error_first_reason_wins(void **state)
{
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_int_equal(error_set_at(&err, EINVAL, "a.b", "f.yml", 7, "x.y", "bad %d", 1), -EINVAL);
    assert_int_equal(error_set(&err, ENOENT, "c.d", "other"), -ENOENT);
    assert_int_equal(error_prefix(&err, -EINVAL, "while %s", "reading"), -EINVAL);
    assert_string_equal(error_id(&err), "a.b");
    assert_string_equal(err.message, "while reading: bad 1");
    assert_string_equal(err.file, "f.yml");
    assert_int_equal(err.line, 7);
    assert_int_equal(error_set(NULL, ENOENT, "c.d", "other"), -ENOENT);
}

static void test_buf_limit(void **state)
{
    Buf b = BUF_INIT(10);

    (void) state;
    assert_int_equal(buf_puts(&b, "12345"), 0);
    assert_int_equal(buf_puts(&b, "678901"), -EMSGSIZE);
    assert_string_equal(b.data, "12345");
    assert_int_equal(buf_printf(&b, "%s", "67890"), 0);
    buf_consume(&b, 3);
    assert_string_equal(b.data, "4567890");
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    buf_done(&b);
}

static void test_copies_of_lists(void **state)
{
    char *from[] = { "a", "", "a", NULL };
    _cleanup_(strv_freep) char **copy = NULL, **empty = NULL, **none = NULL;

    (void) state;
    assert_int_equal(strv_copy(from, &copy), 0);
    assert_int_equal(strv_length(copy), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(copy[i], from[i]);
        assert_ptr_not_equal(copy[i], from[i]);
    }
    assert_int_equal(strv_copy(from + 3, &empty), 0);
    assert_int_equal(strv_copy(NULL, &none), 0);
    assert_true(!empty && !none);
}

static void test_numbers_are_strict(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } cases[] = {
        { "0", 0, 0 },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "0x1", -EINVAL, 0 },
        { "+1", -EINVAL, 0 },
        { "007", 0, 7 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t value = 99;

        assert_int_equal(str_to_u64(cases[i].text, 0, UINT64_MAX, &value), cases[i].r);
        assert_true(value == (cases[i].r == 0 ? cases[i].value : 99));
    }
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        { "abc", true },
        { "caf\xc3\xa9", true },
        { "\xe2\x82\xac", true },
        { "\xf0\x9f\x98\x80", true },
        { "\xc0\x80", false },
        { "\xc3", false },
        { "\xe0\x80\x80", false },
        { "\xed\xa0\x80", false },
        { "\xf4\x90\x80\x80", false },
        { "\xff", false },
        { "\x80", false },
        { "\xf0\x80\x80\x80", false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(utf8_is_valid(cases[i].text, strlen(cases[i].text)), cases[i].valid);
}

static void test_hex(void **state)
{
    static const char *const bad[] = { "", "00", "00ff0", "00ff0g", "00ff001", "00ff00ff", " 0ff00" };
    uint8_t bytes[3] = {};

    (void) state;
    assert_int_equal(hex_decode("00fFa9", bytes, sizeof(bytes)), 0);
    assert_memory_equal(bytes, "\x00\xff\xa9", 3);
    _cleanup_(freep) char *text = hex_encode(bytes, sizeof(bytes));
    assert_string_equal(text, "00ffa9");
    for (size_t n = 0; n < ELEMENTSOF(bad); n++)
        assert_int_equal(hex_decode(bad[n], bytes, sizeof(bytes)), -EINVAL);
}

static void test_base64(void **state)
{
    /* RFC 4648 §10 */
    static const char *const vectors[][2] = { { "", "" },
                                              { "f", "Zg==" },
                                              { "fo", "Zm8=" },
                                              { "foo", "Zm9v" },
                                              { "foob", "Zm9vYg==" },
                                              { "fooba", "Zm9vYmE=" },
                                              { "foobar", "Zm9vYmFy" } };
    static const char *const bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zg==\n", "Z g=", "====", "Zm9vZg==Zg==" };
    uint8_t *data;
    size_t len;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
        char *text = base64_encode(vectors[i][0], strlen(vectors[i][0]));

        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(base64_decode(text, strlen(text), &data, &len), 0);
        assert_int_equal(len, strlen(vectors[i][0]));
        assert_memory_equal(data, vectors[i][0], len);
        free(data);
        free(text);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &data, &len), -EINVAL);
    assert_int_equal(base64url_decode("-_8", 3, &data, &len), 0);
    assert_int_equal(data[0], 0xfb);
    free(data);
    assert_int_equal(base64url_decode("Zg==", 4, &data, &len), -EINVAL);
}

static void test_map_keeps_order_over_growth_and_removal(void **state)
{
    _cleanup_(map_freep) Map *m = map_new(free);
    const char *key;
    void *value;
    unsigned seen = 0;

    (void) state;
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "k%u", i);
        assert_int_equal(map_put(m, name, strdup(name)), 0);
        if (i % 3 == 0)
            map_remove(m, name);
    }
    assert_int_equal(map_size(m), 666);
    assert_null(map_get(m, "k3"));
    assert_string_equal(map_get(m, "k4"), "k4");
    assert_int_equal(map_put(m, "k4", strdup("new")), 0);
    assert_string_equal(map_get(m, "k4"), "new");
    unsigned last = 0;
    for (size_t i = 0; map_next(m, &i, &key, &value);) {
        uint64_t number;

        assert_int_equal(str_to_u64(key + 1, 0, 1000, &number), 0);
        assert_true(seen == 0 || number > last);
        last = (unsigned) number;
        seen++;
        map_remove(m, key);
    }
    assert_int_equal(seen, 666);
    assert_int_equal(map_size(m), 0);
}

static void test_file_replace(void **state)
{
    char folder[] = "/tmp/secbox-base-XXXXXX";
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = NULL;
    _cleanup_(freep) char *link = NULL;
    _cleanup_(freep) char *data = NULL;
    struct stat st;

    (void) state;
    assert_non_null(mkdtemp(folder));
    path = path_join(folder, "a/b/file");
    link = path_join(folder, "link");
    _cleanup_(freep) char *deep = path_join(folder, "a/b");
    assert_int_equal(dir_make(deep, 0700, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_int_equal(file_write_atomic(path, "one", 3, 0600, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_int_equal(file_write_atomic(path, "second", 6, 0640, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(file_read(path, 6, &data, NULL, &err), 0);
    assert_string_equal(data, "second");
    assert_int_equal(symlink(path, link), 0);
    char *none = NULL;
    assert_int_equal(file_read(link, 100, &none, NULL, &err), -ELOOP);
    error_done(&err);
    assert_int_equal(file_read_followed(link, 100, &none, NULL, &err), 0);
    assert_string_equal(none, "second");
    free(TAKE_PTR(none));
    assert_int_equal(file_read_followed(link, 5, &none, NULL, &err), -EFBIG);
    error_done(&err);
    assert_int_equal(file_read(path, 5, &none, NULL, &err), -EFBIG);
    assert_string_equal(error_id(&err), "file.too-large");
    error_done(&err);
    assert_int_equal(file_read(folder, 5, &none, NULL, &err), -EINVAL);
    error_done(&err);
    assert_int_equal(file_remove(path, &err), 0);
    assert_int_equal(file_read(path, 5, &none, NULL, &err), -ENOENT);
    error_done(&err);
    assert_int_equal(file_read_followed(link, 5, &none, NULL, &err), -ENOENT);
    assert_null(none);
    assert_int_equal(dir_remove(folder, &err), 0);
    assert_int_equal(stat(folder, &st), -1);
}

/* What a killed writer left goes at the next start; what a living one writes, and what is not ours, stays. */
static void test_temporary_files_are_swept(void **state)
{
    static const char *const kept[] = { "state.json",     ".tmp-0123abcd",      "a.tmp-0123abc",
                                        "a.tmp-0123ABCD", "a.tmp-0123abcd.bak", "sub/notes.tmp-xyz" };
    static const char *const dead[] = { "state.json.tmp-0123abcd", "sub/deep/key.pem.tmp-ffffffff" };
    char folder[] = "/tmp/test-base-XXXXXX", outside[] = "/tmp/test-base-XXXXXX";
    struct stat st;

    (void) state;
    assert_non_null(mkdtemp(folder));
    assert_non_null(mkdtemp(outside));
    _cleanup_(freep) char *deep = str_format("%s/sub/deep", folder), *live = str_format("%s/x.tmp-11111111", folder);
    _cleanup_(freep) char *link = str_format("%s/link", folder), *foreign = str_format("%s/y.tmp-22222222", outside);
    assert_int_equal(dir_make(deep, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(close(open(foreign, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
    for (size_t i = 0; i < ELEMENTSOF(kept) + ELEMENTSOF(dead); i++) {
        const char *name = i < ELEMENTSOF(kept) ? kept[i] : dead[i - ELEMENTSOF(kept)];
        _cleanup_(freep) char *path = str_format("%s/%s", folder, name);
        assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
    }
    int writer = open(live, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(writer, LOCK_EX), 0);

    assert_int_equal(tmp_sweep(folder, false), 1);
    assert_int_equal(tmp_sweep(folder, true), ELEMENTSOF(dead) - 1);
    assert_int_equal(stat(live, &st), 0);
    assert_int_equal(stat(foreign, &st), 0);
    for (size_t i = 0; i < ELEMENTSOF(kept); i++) {
        _cleanup_(freep) char *path = str_format("%s/%s", folder, kept[i]);
        assert_int_equal(stat(path, &st), 0);
    }
    close(writer);
    assert_int_equal(tmp_sweep(folder, true), 1);
    assert_int_equal(tmp_sweep("/nonexistent", true), 0);
    assert_int_equal(dir_remove(folder, NULL), 0);
    assert_int_equal(dir_remove(outside, NULL), 0);
}

/* Writers never lose a file to a sweep at the same time. */
static void test_sweeping_beside_a_writer(void **state)
{
    char folder[] = "/tmp/test-base-XXXXXX";
    int status;

    (void) state;
    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = str_format("%s/state", folder);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            (void) tmp_sweep(folder, false);
    assert_true(pid > 0);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(file_write_atomic(path, "x", 1, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(dir_remove(folder, NULL), 0);
}

/* What keeps a file from being removed is told of that file, wherever it lies, and by its own reason. */
static void test_removal_names_what_failed(void **state)
{
    char folder[] = "/tmp/test-base-XXXXXX";
    _cleanup_(error_done) Error err = {};
    bool root = geteuid() == 0;
    int r;

    (void) state;
    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *inner = str_format("%s/upper/inner", folder);
    _cleanup_(freep) char *file = str_format("%s/stuck", inner);
    assert_int_equal(dir_make(inner, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(file, "x", 1, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(inner, 0555), 0);
    if (root) /* nothing of a file is refused to root */
        assert_int_equal(seteuid(65534), 0);
    r = dir_clear(folder, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(r, -EACCES);
    assert_non_null(strstr(err.message, "cannot remove stuck: Permission denied"));
    assert_non_null(strstr(err.message, "in upper: in inner: "));
    assert_null(strstr(err.message, "Not a directory"));
    assert_int_equal(chmod(inner, 0755), 0);
    assert_int_equal(dir_remove(folder, NULL), 0);
}

static void test_timestamps(void **state)
{
    char text[TIMESTAMP_SIZE];
    usec_t t = 0;

    (void) state;
    assert_string_equal(timestamp_format(1767322445678000, text), "2026-01-02T02:54:05.678Z");
    assert_int_equal(timestamp_parse(text, &t), 0);
    assert_true(t == 1767322445678000);
    assert_int_equal(timestamp_parse("2026-06-31T00:00:00.000Z", &t), -EINVAL);
    assert_int_equal(timestamp_parse("2026-01-02T02:54:05Z", &t), -EINVAL);
    assert_int_equal(timestamp_parse("2026-01-02T02:54:05.678Zx", &t), -EINVAL);
}

static void test_durations(void **state)
{
    static const char *const bad[] = { "",     "s",   "1",   "1d",    "1 s", " 1s", "1s ",
                                       "1.5h", "-1s", "+1s", "1m30s", "0s",  "1H" };
    static const char *const large[] = { "9000h", "600000m", "99999999999999999999999999s", "36893488147419103232s" };
    usec_t t = 7;

    (void) state;
    assert_int_equal(duration_parse("90s", &t), 0);
    assert_true(t == 90 * USEC_PER_SEC);
    assert_int_equal(duration_parse("015m", &t), 0);
    assert_true(t == 15 * USEC_PER_MINUTE);
    assert_int_equal(duration_parse("24h", &t), 0);
    assert_true(t == USEC_PER_DAY);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(duration_parse(bad[i], &t), -EINVAL);
    for (size_t i = 0; i < ELEMENTSOF(large); i++)
        assert_int_equal(duration_parse(large[i], &t), -ERANGE);
    assert_true(t == USEC_PER_DAY);
}

static void test_ages(void **state)
{
    static const struct {
        usec_t before; /* the time that is told */
        const char *age;
    } cases[] = {
        { 0, "now" },
        { USEC_PER_SEC - 1, "now" },
        { 12 * USEC_PER_SEC, "12 s ago" },
        { USEC_PER_MINUTE - 1, "59 s ago" },
        { USEC_PER_MINUTE, "1 min ago" },
        { 59 * USEC_PER_MINUTE + 59 * USEC_PER_SEC, "59 min ago" },
        { USEC_PER_HOUR, "1 h ago" },
        { 47 * USEC_PER_HOUR, "47 h ago" },
        { 48 * USEC_PER_HOUR, "2 days ago" },
        { 400 * USEC_PER_DAY, "400 days ago" },
    };
    const usec_t now = 1000 * USEC_PER_DAY;
    char buf[TIMESTAMP_SIZE];

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_string_equal(age_format(now - cases[i].before, now, buf), cases[i].age);
    assert_string_equal(age_format(now + 3 * USEC_PER_MINUTE, now, buf), "in 3 min");
    assert_string_equal(age_format(0, now, buf), "1000 days ago");
}

static void test_redaction(void **state)
{
    static const char *const cases[][2] = {
        { "nothing here", "nothing here" },
        { "-e TUNNEL_TOKEN=abc123 -e A=b", "-e TUNNEL_TOKEN=(hidden) -e A=b" },
        { "{\"password\": \"x\\\"y\", \"n\": 1}", "{\"password\": \"(hidden)\", \"n\": 1}" },
        { "Authorization: Bearer abc.def", "Authorization: Bearer (hidden)" },
        { "rtsp://user:pw@10.0.0.1/x", "rtsp://(hidden)@10.0.0.1/x" },
        { "see eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.sig end", "see (hidden) end" },
        { "value s3cr3t-value!", "value (hidden)!" },
        { "MONKEYS are fine", "MONKEYS are fine" },
        { "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nafter", "(hidden)\nafter" },
        { "AUTH_s3cr3t-value=1", "AUTH_(hidden)=1" },
        { "PG_PWD=x PWD=/srv OLDPWD=/", "PG_PWD=(hidden) PWD=/srv OLDPWD=/" },
        { "TOKEN=(hidden)s3cr3t-value", "TOKEN=(hidden)" },
        { "xs3cr3t-valuey", "x(hidden)y" },
        { "Authorization: Basic dXNlcjpwdw==", "Authorization: Basic (hidden)" },
        { "curl -H 'X-Token: v1' https://h/p", "curl -H 'X-Token: (hidden)' https://h/p" },
        { "a: b\n  password: v w\n  - api_key: 'k'\n", "a: b\n  password: (hidden)\n  - api_key: '(hidden)'\n" },
        { "login --password hunter2 --user u", "login --password (hidden) --user u" },
        { "login --password-file /run/p", "login --password-file /run/p" },
        { "the operator's sbx_Abc-123_defghi.", "the operator's (hidden)." },
        { "http://u:p/w@h/x", "http://(hidden)@h/x" },
        { "docker://reg:5000/img@sha256:ab", "docker://reg:5000/img@sha256:ab" },
        { "cannot read the key: Permission denied", "cannot read the key: Permission denied" },
    };

    (void) state;
    redact_add_secret("s3cr3t-value");
    redact_add_secret("short");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *once = redact_text(cases[i][0]);
        _cleanup_(freep) char *twice = redact_text(once);

        assert_string_equal(once, cases[i][1]);
        assert_string_equal(twice, once);
    }
    redact_forget_all();
}

/* What took seconds when each repetition was searched to the end of the text takes none: the longer text may need some
 * times as much as the shorter one, not its square. The counts are of the CPU, so a busy machine changes nothing. */
static void test_redaction_takes_linear_time(void **state)
{
    static const char *const pieces[] = { "eyJ-",    "eyJ.", "://", "://a:b/", "-----BEGIN ",    "-----BEGIN PRIVATE",
                                          "Bearer ", "--",   "a-",  "KEY=\"",  "Bearer (hidden)" };
    enum { SHORT = 64 * 1024, TIMES = 16 };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
        clock_t spent[2];

        for (size_t k = 0; k < 2; k++) {
            size_t len = k == 0 ? SHORT : SHORT * TIMES, piece = strlen(pieces[i]);
            _cleanup_(freep) char *text = malloc(len + 1);

            assert_non_null(text);
            for (size_t at = 0; at < len; at++)
                text[at] = pieces[i][at % piece];
            text[len] = '\0';
            spent[k] = clock();
            _cleanup_(freep) char *shown = redact_text(text);
            spent[k] = clock() - spent[k];
            assert_non_null(shown);
        }
        /* the square would be 256 times as much */
        if (spent[1] > (spent[0] + CLOCKS_PER_SEC / 50) * TIMES * 4)
            fail_msg("%s: %ld then %ld clocks", pieces[i], (long) spent[0], (long) spent[1]);
    }
}

static const char *opt_name;
static bool opt_flag;
static int verb_result;

static int verb_add(int argc, char **argv, void *userdata)
{
    (void) userdata;
    verb_result = argc * 10 + (int) strlen(argv[0]);
    return EXIT_OK;
}

static void test_cli(void **state)
{
    static const CliOption options[] = { { "name", "N", "a name", .text = &opt_name },
                                         { "flag", NULL, "a flag", .flag = &opt_flag },
                                         {} };
    static const CliVerb verbs[] = { { "devices add", "ID", 1, 2, "adds", verb_add, "other flag" },
                                     { "devices", "", 0, 0, "all", verb_add, "fla flags" },
                                     {} };
    static const Cli cli = {
        .program = "prog", .summary = "A program.", .options = options, .verbs = verbs, .common = "name"
    };

    (void) state;
    assert_int_equal(cli_run(&cli, 6, (char *[]) { "prog", "--name=x", "devices", "add", "abc", "--flag", NULL }, NULL),
                     EXIT_OK);
    assert_int_equal(verb_result, 13);
    assert_string_equal(opt_name, "x");
    assert_true(opt_flag);
    assert_int_equal(cli_run(&cli, 3, (char *[]) { "prog", "devices", "add", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 2, (char *[]) { "prog", "nope", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 3, (char *[]) { "prog", "--nope", "devices", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 2, (char *[]) { "prog", "--name", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 3, (char *[]) { "prog", "--flag=1", "devices", NULL }, NULL), EXIT_USAGE);
}

static void test_letters_and_lists(void **state)
{
    static char **files;
    static bool follow;
    static const CliOption options[] = { { "follow", NULL, "a flag", .flag = &follow, .letter = 'f' },
                                         { "file", "FILE", "a list", .list = &files, .letter = 'f' },
                                         {} };
    static const CliVerb verbs[] = { { "logs", "ID", 1, 1, "shows", verb_add, "follow" },
                                     { "push", "ID", 1, 1, "sends", verb_add, "file" },
                                     {} };
    static const Cli cli = { .program = "prog", .summary = "A program.", .options = options, .verbs = verbs };

    (void) state;
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "logs", "-f", "a", NULL }, NULL), EXIT_OK);
    assert_true(follow && !files);
    follow = false;
    assert_int_equal(cli_run(&cli, 7, (char *[]) { "prog", "push", "-f", "a", "--file=b", "-fc", "x", NULL }, NULL),
                     EXIT_OK);
    _cleanup_(freep) char *all = strv_join(files, " ");
    assert_string_equal(all, "a b c");
    assert_false(follow);
    strv_free(files);
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "-f", "logs", "a", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "logs", "-x", "a", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "push", "a", "-f", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "logs", "-fx", "a", NULL }, NULL), EXIT_USAGE);
}

static void test_a_verb_takes_only_its_own_options(void **state)
{
    static const CliOption options[] = { { "flag", NULL, "a flag", .flag = &opt_flag }, {} };
    static const CliVerb verbs[] = { { "add", "ID", 1, 1, "adds", verb_add, "flag" },
                                     { "list", "ID", 1, 1, "all", verb_add, "fla flags" },
                                     { "show", "ID", 1, 1, "one", verb_add, NULL },
                                     {} };
    static const Cli cli = { .program = "prog", .summary = "A program.", .options = options, .verbs = verbs };

    (void) state;
    verb_result = 0;
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "add", "a", "--flag", NULL }, NULL), EXIT_OK);
    assert_int_equal(verb_result, 11);
    verb_result = 0;
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "--flag", "list", "a", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(cli_run(&cli, 4, (char *[]) { "prog", "show", "--flag", "a", NULL }, NULL), EXIT_USAGE);
    assert_int_equal(verb_result, 0);
}

static void test_rfc3339(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2026-01-01T06:30:00.5-05:30", 1767268800 },
        { "2026-01-01T12:00:00.123456789z", 1767268800 },
        { "2026-01-02T03:04:05Z", 1767323045 },
        { "2026-01-02T03:04:05.678Z", 1767323045 },
        { "2026-01-02T03:04:05+05:30", 1767323045 - 19800 },
        { "2026-01-01T22:04:05-05:00", 1767323045 },
        { "2026-01-01T11:05:05-15:59", 1767323045 },
    };
    static const char *const bad[] = { "",
                                       "2026-01-02",
                                       "2026-02-30T00:00:00Z",
                                       "2026-01-02T24:00:00Z",
                                       "2026-01-02T03:04:05",
                                       "2026-01-02T03:04:05+5:30",
                                       "2026-01-02T03:04:05Zx",
                                       "1969-12-31T00:00:00Z",
                                       "2026-1-2T3:4:5Z",
                                       "2026-01-02t03:04:05z",
                                       "2026-01-02T03:04:05.Z",
                                       "2026-01-02T03:04:60Z",
                                       " 2026-1-02T03:04:05Z",
                                       "2026-01-02T03:04:05.12345678901234567890Zx",
                                       "2026-01-02T03:04:05+16:00",
                                       "2026-01-02T03:04:05-23:59",
                                       "+026-01-02T03:04:05Z" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        usec_t t = 0;
        if (rfc3339_parse(good[i].text, &t) < 0 || t / USEC_PER_SEC != good[i].seconds)
            fail_msg("%s: %llu", good[i].text, (unsigned long long) t);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        usec_t t;
        if (rfc3339_parse(bad[i], &t) >= 0)
            fail_msg("%s is taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_first_reason_wins),
        cmocka_unit_test(test_buf_limit),
        cmocka_unit_test(test_copies_of_lists),
        cmocka_unit_test(test_numbers_are_strict),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_map_keeps_order_over_growth_and_removal),
        cmocka_unit_test(test_file_replace),
        cmocka_unit_test(test_temporary_files_are_swept),
        cmocka_unit_test(test_sweeping_beside_a_writer),
        cmocka_unit_test(test_removal_names_what_failed),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_redaction),
        cmocka_unit_test(test_redaction_takes_linear_time),
        cmocka_unit_test(test_cli),
        cmocka_unit_test(test_letters_and_lists),
        cmocka_unit_test(test_a_verb_takes_only_its_own_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The list of revoked certificates: which edition takes the place of which, and that nothing else gets into the file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/ssh-revocations.h"

static char folder[] = "/tmp/test-revocations-XXXXXX";
static char *path;

static int take(const char *json, const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *message = cJSON_Parse(json);
    _cleanup_(error_done) Error err = {};

    assert_non_null(message);
    int r = ssh_revocations_take(path, message, &err);
    if (id)
        assert_string_equal(error_id(&err), id);
    return r;
}

static void check_file(const char *wanted)
{
    _cleanup_(freep) char *text = NULL;

    assert_int_equal(file_read(path, 4096, &text, NULL, NULL), 0);
    assert_string_equal(text, wanted);
}

static void check(int wanted)
{
    _cleanup_(error_done) Error err = {};

    assert_int_equal(ssh_revocations_check(path, &err), wanted);
    if (wanted < 0)
        assert_string_equal(error_id(&err), "ssh.bad-revocations");
}

static void put(const char *text, size_t len)
{
    assert_int_equal(file_write_atomic(path, text, len, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static void test_editions(void **state _unused_)
{
    struct stat st;

    (void) unlink(path);
    check(0);
    assert_int_equal(ssh_revocations_version(path), 0);
    assert_int_equal(
        take("{\"version\": \"1796092800000\", \"keyIds\": [\"ana@x.org/g-1/7\", \"b_o-b.1/g-2/18446\"]}", NULL), 1);
    check_file("# version 1796092800000\nid: ana@x.org/g-1/7\nid: b_o-b.1/g-2/18446\n");
    check(0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(ssh_revocations_version(path), 1796092800000);
    assert_int_equal(take("{\"version\": \"1796092800000\", \"keyIds\": []}", NULL), 0);
    assert_int_equal(take("{\"version\": \"1796092799999\", \"keyIds\": []}", "ssh.revocations-old"), -ESTALE);
    check_file("# version 1796092800000\nid: ana@x.org/g-1/7\nid: b_o-b.1/g-2/18446\n");
    assert_int_equal(take("{\"version\": \"1796092800001\", \"keyIds\": []}", NULL), 1);
    check_file("# version 1796092800001\n");
    check(0);
}

static void test_what_is_no_list(void **state _unused_)
{
    static const char *const ids[] = { "",        "a/g-1",     "a/g-1/",       "/g-1/1",    "a//1",
                                       "a/g-1/x", "a/g-1/1/2", "a/g-1/1\\n",   "a b/g-1/1", "a/g-1/1 serial: 1",
                                       "#/g-1/1", "a/g-1/-1",  "\\u00e9/g-1/1" };
    char many[16384] = "{\"version\": \"4\", \"keyIds\": [\"a/g/1\"";

    put("# version 3\n", strlen("# version 3\n"));
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        _cleanup_(freep) char *json = str_format("{\"version\": \"4\", \"keyIds\": [\"a/g-1/1\", \"%s\"]}", ids[i]);

        assert_int_equal(take(json, "ssh.bad-revocations"), -EBADMSG);
    }
    for (int i = 0; i < SSH_REVOCATIONS_MAX; i++)
        strncat(many, ",\"a/g/1\"", sizeof(many) - strlen(many) - 1);
    strncat(many, "]}", sizeof(many) - strlen(many) - 1);
    assert_int_equal(take(many, "ssh.bad-revocations"), -EBADMSG);
    assert_int_equal(take("{\"version\": \"4\", \"keyIds\": [7]}", "ssh.bad-revocations"), -EBADMSG);
    assert_int_equal(take("{\"version\": \"4\"}", "ssh.bad-revocations"), -EBADMSG);
    assert_int_equal(take("{\"version\": \"0\", \"keyIds\": []}", "ssh.bad-revocations"), -EBADMSG);
    /* above which no other could ever come */
    assert_int_equal(take("{\"version\": \"9223372036854775807\", \"keyIds\": []}", "ssh.bad-revocations"), -EBADMSG);
    check_file("# version 3\n");
}

static void test_a_damaged_file(void **state _unused_)
{
    static const char *const damaged[] = { "",
                                           "\n",
                                           "# version 3",
                                           "# version x\n",
                                           "# version 3\nid: a/g-1/1",
                                           "# version 3\nid: a/g-1/\n",
                                           "# version 3\nserial: 1\n",
                                           "id: a/g-1/1\n",
                                           "# version 99999999999999999999\n" };

    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        put(damaged[i], strlen(damaged[i]));
        check(-EBADMSG);
    }
    put("# version 3\n\0\n", strlen("# version 3\n") + 2);
    check(-EBADMSG);
    /* the next list mends it, whatever number was there */
    put("torn", 4);
    assert_int_equal(take("{\"version\": \"2\", \"keyIds\": [\"a/g-1/1\"]}", NULL), 1);
    check_file("# version 2\nid: a/g-1/1\n");
    check(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_editions),
        cmocka_unit_test(test_what_is_no_list),
        cmocka_unit_test(test_a_damaged_file),
    };

    if (!mkdtemp(folder) || !(path = str_format("%s/ssh-revocations", folder)))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void) unlink(path);
    (void) rmdir(folder);
    free(path);
    return failed;
}

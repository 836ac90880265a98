/* SPDX-License-Identifier: MIT */
/* Keys that a management key names: what is signed, and how a role's program shows its key to mgmt-agent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/tunnel/voucher.h"

#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
#define OTHER "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

static Key *new_key(void)
{
    Key *key = NULL;

    assert_int_equal(key_generate(&key, NULL), 0);
    return key;
}

static void test_a_voucher_is_for_just_this(void **state _unused_)
{
    _cleanup_(key_freep) Key *key = new_key(), *another = new_key();
    const Voucher v = { .nonce = "n-1", .device = "caseta-5", .device_key = THUMBPRINT };
    const Voucher others[] = {
        { .nonce = "n-2", .device = "caseta-5", .device_key = THUMBPRINT },
        { .nonce = "n-1", .device = "caseta-6", .device_key = THUMBPRINT },
        { .nonce = "n-1", .device = "caseta-5", .device_key = OTHER },
        { .nonce = "n-1", .device = "caseta-5", .recovery_key = THUMBPRINT },
        { .nonce = "n-1", .device = "caseta-5", .device_key = THUMBPRINT, .recovery_key = OTHER },
        { .nonce = "n-1", .device = "caseta-5" },
    };
    _cleanup_(freep) char *signature = NULL;

    assert_int_equal(voucher_sign(key, &v, &signature), 0);
    assert_int_equal(voucher_check(key, &v, signature), 0);
    assert_int_equal(voucher_check(another, &v, signature), -EBADMSG);
    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        assert_int_equal(voucher_check(key, &others[i], signature), -EBADMSG);
    assert_int_equal(voucher_check(key, &v, "not base64!"), -EBADMSG);
    assert_int_equal(voucher_check(key, &v, NULL), -EBADMSG);
}

static void test_parts_that_could_be_others_are_refused(void **state _unused_)
{
    _cleanup_(key_freep) Key *key = new_key();
    const Voucher bad[] = {
        { .nonce = "", .device = "caseta-5" },
        { .nonce = "n\nn", .device = "caseta-5" },
        { .nonce = "n-1", .device = "caseta\n5" },
        { .nonce = "n-1", .device = "caseta-5", .device_key = "-" },
        { .nonce = "n-1", .device = "caseta-5", .recovery_key = THUMBPRINT "\n" },
        { .device = "caseta-5" },
    };

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        char *signature = NULL;

        assert_int_equal(voucher_sign(key, &bad[i], &signature), -EINVAL);
        assert_null(signature);
        assert_int_equal(voucher_check(key, &bad[i], "AAAA"), -EBADMSG);
    }
}

static void test_an_offer_is_read_as_it_was_written(void **state)
{
    _cleanup_(key_freep) Key *key = new_key();
    _cleanup_(freep) char *path = path_join(*state, KEY_OFFER_NAME), *read = NULL, *thumbprint = key_thumbprint(key);
    struct stat st;

    assert_null(key_offer_read(path));
    assert_int_equal(key_offer_write(path, key, NULL), 0);
    assert_int_equal(key_offer_write(path, key, NULL), 0);
    read = key_offer_read(path);
    assert_string_equal(read, thumbprint);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

/* The folder is a container's. */
static void test_what_else_lies_there_is_no_offer(void **state)
{
    static const char *const texts[] = {
        "", "\n", "x\n", THUMBPRINT "x\n", THUMBPRINT "\n\n", "../../../../etc/shadow\n"
    };
    _cleanup_(freep) char *path = path_join(*state, "strange"), *aim = path_join(*state, "aim");

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        assert_int_equal(file_write_atomic(path, texts[i], strlen(texts[i]), 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
        assert_null(key_offer_read(path));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_null(key_offer_read(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_write_atomic(aim, THUMBPRINT "\n", 44, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(symlink(aim, path), 0);
    assert_null(key_offer_read(path));
}

static int make_folder(void **state)
{
    char folder[] = "/tmp/secbox-voucher-XXXXXX";

    *state = mkdtemp(folder) ? strdup(folder) : NULL;
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    int r = dir_remove(*state, NULL);

    free(*state);
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_voucher_is_for_just_this),
        cmocka_unit_test(test_parts_that_could_be_others_are_refused),
        cmocka_unit_test_setup_teardown(test_an_offer_is_read_as_it_was_written, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_else_lies_there_is_no_offer, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Which addresses of a machine are shown to tablets, and the file in which a container finds them. */
#include "tests/unit/agent-root.h"

#include <arpa/inet.h>

#include "lib/net/host-addresses.h"
#include "mgmt-agent/agent/host-addresses-file.h"

static bool is_private(const char *text)
{
    struct in6_addr address;
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;

    assert_int_equal(inet_pton(family, text, &address), 1);
    return address_is_private(family, &address);
}

static void test_private(void **state)
{
    static const char *const yes[] = { "10.0.0.1",  "172.16.0.1", "172.31.255.255", "192.168.1.20", "169.254.1.1",
                                       "127.0.0.1", "fd00::1",    "fc00::1",        "fe80::1",      "::1" };
    static const char *const no[] = { "9.255.255.255", "11.0.0.1",    "172.15.0.1", "172.32.0.1",
                                      "192.169.0.1",   "169.253.0.1", "126.0.0.1",  "203.0.113.1",
                                      "2001:db8::1",   "fe00::1",     "::2" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(yes); i++)
        if (!is_private(yes[i]))
            fail_msg("%s", yes[i]);
    for (size_t i = 0; i < ELEMENTSOF(no); i++)
        if (is_private(no[i]))
            fail_msg("%s", no[i]);
    assert_false(address_is_private(AF_UNIX, ""));
}

static void test_of_this_machine(void **state)
{
    _cleanup_(strv_freep) char **all = NULL, **others = NULL;

    (void) state;
    assert_int_equal(host_addresses(true, &all), 0);
    assert_true(strv_contains(all, "127.0.0.1"));
    assert_int_equal(host_addresses(false, &others), 0);
    for (char **a = others; a && *a; a++) {
        if (str_starts(*a, "127.") || str_equal(*a, "::1") || !is_private(*a))
            fail_msg("%s", *a);
        assert_true(strv_contains(all, *a));
    }
}

static cJSON *list_of(const char *json)
{
    cJSON *list = cJSON_Parse(json);

    assert_non_null(list);
    return list;
}

static void expect_text(const char *json, const char *expected)
{
    _cleanup_(cJSON_Deletep) cJSON *list = list_of(json);
    _cleanup_(freep) char *text = host_addresses_text(list);

    assert_string_equal(text, expected);
}

/* mgmt-link has a network, so it is not believed everything. */
static void test_only_addresses_are_passed_on(void **state)
{
    (void) state;
    expect_text("[]", "");
    expect_text("{}", "");
    expect_text("[\"192.168.1.20\", \"fd00::20\"]", "192.168.1.20\nfd00::20\n");
    expect_text(
        "[\"\", 1, null, \"evil.example\", \"10.0.0.1\\n\", \"1111111111111111111111111111111111111111111111\"]", "");
    _cleanup_(cJSON_Deletep) cJSON *many = cJSON_CreateArray();
    for (int i = 0; i < 100; i++)
        assert_int_equal(json_append(many, cJSON_CreateString("10.0.0.1")), 0);
    _cleanup_(freep) char *text = host_addresses_text(many);
    assert_int_equal(strlen(text), HOST_ADDRESSES_MAX * strlen("10.0.0.1\n"));
}

static char *read_written(void)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_RUN_DIR "/" HOST_ADDRESSES_NAME);
    char *text = NULL;

    return file_read(path, 4096, &text, NULL, NULL) < 0 ? NULL : text;
}

static void expect_written(const char *expected)
{
    _cleanup_(freep) char *is = read_written();

    if (!str_equal(is, expected))
        fail_msg("%s instead of %s", is ? is : "(none)", expected ? expected : "(none)");
}

static void test_written(void **state)
{
    _cleanup_(freep) char *dir = path_in_root(SECBOX_RUN_DIR),
                          *path = path_in_root(SECBOX_RUN_DIR "/" HOST_ADDRESSES_NAME);
    _cleanup_(cJSON_Deletep) cJSON *list = list_of("[\"192.168.1.20\"]"), *other = list_of("[\"192.168.1.21\"]");
    _cleanup_(freep) char *written = NULL;
    struct stat st;

    (void) state;
    host_addresses_write(list, &written); /* no push has made the folder yet */
    expect_written(NULL);
    assert_int_equal(dir_make(dir, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    host_addresses_write(NULL, &written);
    expect_written(NULL);
    host_addresses_write(list, &written);
    expect_written("192.168.1.20\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    host_addresses_write(other, &written);
    expect_written("192.168.1.21\n");

    /* it is the container's folder: what it puts there is not followed, and is replaced where that can be */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    host_addresses_write(other, &written);
    expect_written("192.168.1.21\n");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    host_addresses_write(list, &written);
    host_addresses_write(list, &written);
    assert_int_equal(rmdir(path), 0);
    host_addresses_write(list, &written);
    expect_written("192.168.1.20\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_of_this_machine),
        cmocka_unit_test(test_only_addresses_are_passed_on),
        cmocka_unit_test_setup_teardown(test_written, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests_name("host-addresses", tests, NULL, NULL);
}

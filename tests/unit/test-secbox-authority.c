/* SPDX-License-Identifier: MIT */
/* When the box makes its certificates anew, and when not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/x509-authority.h"
#include "secbox/lan/authority.h"

#define DAY ((uint64_t) 24 * 60 * 60)
#define NOW ((uint64_t) 1800000000) /* 2027 */

static const char *const names[] = { LAN_HOST, "192.168.1.20", NULL };
static const char *const others[] = { LAN_HOST, "192.168.1.21", NULL };
static char dir[] = "/tmp/test-authority-XXXXXX";

static int setup(void **state)
{
    static LanAuthority a;

    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    *state = &a;
    return mkdtemp(dir) ? lan_authority_init(&a, dir, "caseta5", NULL) : -1;
}

static int teardown(void **state)
{
    lan_authority_done(*state);
    return dir_remove(dir, NULL);
}

static bool ensure(const LanAuthority *a, const char *const *list, uint64_t seconds)
{
    Error err = {};
    bool changed = false;

    if (lan_authority_ensure(a, list, seconds * USEC_PER_SEC, &changed, &err) < 0)
        fail_msg("%s: %s", err.id, err.message);
    assert_int_equal(x509_server_check(a->ca_cert, a->key, a->cert, list, NULL), 0);
    return changed;
}

static char *authority_of(const LanAuthority *a)
{
    char *fingerprint = NULL;

    assert_int_equal(lan_authority_fingerprint(a, &fingerprint, NULL), 0);
    assert_int_equal(strlen(fingerprint), 95);
    return fingerprint;
}

static void test_made_once_and_followed(void **state)
{
    const LanAuthority *a = *state;

    assert_true(ensure(a, names, NOW));
    _cleanup_(freep) char *first = authority_of(a);
    assert_false(ensure(a, names, NOW + DAY));
    assert_true(ensure(a, others, NOW + DAY));
    assert_false(ensure(a, others, NOW + 330 * DAY));
    assert_true(ensure(a, others, NOW + 340 * DAY));
    _cleanup_(freep) char *last = authority_of(a);
    assert_string_equal(first, last);
}

static void test_clocks_that_are_wrong(void **state)
{
    const LanAuthority *a = *state;
    CertFacts ca, server;

    assert_true(ensure(a, names, 0));
    assert_int_equal(x509_read(a->ca_cert, &ca, NULL), 0);
    assert_true(ca.validity.from < NOW && ca.validity.until > NOW + 10 * 365 * DAY);
    assert_true(ensure(a, names, NOW + 3650 * DAY));
    assert_true(ensure(a, names, NOW));
    assert_int_equal(x509_read(a->cert, &server, NULL), 0);
    assert_true(server.validity.from < NOW && server.validity.until > NOW);
    assert_true(server.validity.until - server.validity.from <= 398 * DAY);
}

static void test_damage(void **state)
{
    const LanAuthority *a = *state;
    Error err = {};
    bool changed;

    assert_true(ensure(a, names, NOW));
    assert_int_equal(file_write_atomic(a->cert, "x", 1, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_true(ensure(a, names, NOW));
    assert_int_equal(file_remove(a->key, NULL), 0);
    assert_true(ensure(a, names, NOW));
    /* the authority is not replaced by itself: every tablet would have to be told */
    assert_int_equal(file_write_atomic(a->ca_cert, "x", 1, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_true(lan_authority_ensure(a, names, NOW * USEC_PER_SEC, &changed, &err) < 0);
    assert_string_equal(err.id, "x509.bad");
    error_done(&err);
}

static void test_crash_between_the_authoritys_files(void **state)
{
    const LanAuthority *a = *state;

    assert_true(ensure(a, names, NOW));
    assert_int_equal(file_remove(a->ca_cert, NULL), 0);
    assert_true(ensure(a, names, NOW));
}

static void test_due(void **state)
{
    (void) state;
    assert_true(lan_cert_is_due(100, 200 + 30 * DAY, 99));
    assert_false(lan_cert_is_due(100, 200 + 30 * DAY, 100));
    assert_false(lan_cert_is_due(100, 200 + 30 * DAY, 200));
    assert_true(lan_cert_is_due(100, 200 + 30 * DAY, 201));
}

static void test_profile(void **state)
{
    const LanAuthority *a = *state;
    char *profile = NULL;

    assert_true(ensure(a, names, NOW));
    assert_int_equal(lan_authority_profile(a, &profile, NULL), 0);
    assert_non_null(strstr(profile, "<string>SecBox caseta5</string>"));
    assert_non_null(strstr(profile, "com.apple.security.root"));
    free(profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_once_and_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clocks_that_are_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_between_the_authoritys_files, setup, teardown),
        cmocka_unit_test(test_due),
        cmocka_unit_test_setup_teardown(test_profile, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

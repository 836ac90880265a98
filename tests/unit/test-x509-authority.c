/* SPDX-License-Identifier: MIT */
/* The authority of a machine. That openssl and browsers' rules hold is shown with `openssl verify`
 * in tests/integration/test_lan.py. */
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
#include "lib/base/strv.h"
#include "lib/data/x509-authority.h"
#include "lib/data/x509-fingerprints.h"
#include "tests/unit/certificate.h"

#define FROM 1790000000
#define UNTIL (FROM + 86400)

static const CertValidity validity = { FROM, UNTIL };
static const char *const names[] = { "secbox.local", "192.168.1.20", "fd00::0:1", NULL };
static char dir[] = "/tmp/test-x509-XXXXXX";

static int make_dir(void **state)
{
    (void) state;
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void) state;
    return dir_remove(dir, NULL);
}

static void make_both(void)
{
    Error err = {};

    if (x509_authority_make("ca.key", "ca.pem", "SecBox b-1", "secbox.local", validity, &err) < 0 ||
        x509_server_make("ca.key", "ca.pem", "leaf.key", "leaf.pem", names, validity, &err) < 0)
        fail_msg("%s: %s", err.id, err.message);
}

static void test_made_pair_is_good(void **state)
{
    CertFacts ca = {}, leaf = {};
    struct stat st;

    (void) state;
    make_both();
    assert_int_equal(x509_server_check("ca.pem", "leaf.key", "leaf.pem", names, NULL), 0);
    assert_int_equal(x509_read("ca.pem", &ca, NULL), 0);
    assert_int_equal(x509_read("leaf.pem", &leaf, NULL), 0);
    assert_int_equal(leaf.validity.from, FROM);
    assert_int_equal(leaf.validity.until, UNTIL);
    assert_int_equal(strlen(ca.fingerprint), 64);
    assert_string_not_equal(ca.fingerprint, leaf.fingerprint);
    assert_int_equal(stat("ca.key", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat("leaf.key", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_fingerprints(void **state)
{
    static const char broken[] = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    _cleanup_(strv_freep) char **all = NULL;
    _cleanup_(freep) char *text = NULL;
    CertFacts ca = {}, leaf = {};

    (void) state;
    make_both();
    assert_int_equal(x509_read("ca.pem", &ca, NULL), 0);
    assert_int_equal(x509_read("leaf.pem", &leaf, NULL), 0);
    /* the leaf, and behind it the authority */
    assert_int_equal(file_read("leaf.pem", 65536, &text, NULL, NULL), 0);
    assert_int_equal(x509_fingerprints(text, 2, &all, NULL), 0);
    assert_string_equal(all[0], leaf.fingerprint);
    assert_string_equal(all[1], ca.fingerprint);
    assert_null(all[2]);

    _cleanup_(freep) char *worse = str_format("%s%s", text, broken);
    const char *const bad[] = { "", "no certificate\n", broken, worse };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        Error err = {};

        assert_int_equal(x509_fingerprints(bad[i], 9, &all, &err), -EBADMSG);
        assert_string_equal(err.id, "x509.bad");
        error_done(&err);
    }
    assert_int_equal(x509_fingerprints(text, 1, &all, NULL), -EBADMSG);
}

static void test_other_names_are_stale(void **state)
{
    static const char *const fewer[] = { "secbox.local", "192.168.1.20", NULL };
    static const char *const others[] = { "secbox.local", "192.168.1.21", "fd00::1", NULL };
    static const char *const reordered[] = { "fd00::1", "secbox.local", "192.168.1.20", NULL };

    (void) state;
    make_both();
    assert_int_equal(x509_server_check("ca.pem", "leaf.key", "leaf.pem", fewer, NULL), -ESTALE);
    assert_int_equal(x509_server_check("ca.pem", "leaf.key", "leaf.pem", others, NULL), -ESTALE);
    assert_int_equal(x509_server_check("ca.pem", "leaf.key", "leaf.pem", reordered, NULL), 0);
}

static void test_foreign_parts_are_stale(void **state)
{
    Error err = {};

    (void) state;
    make_both();
    assert_int_equal(x509_authority_make("ca2.key", "ca2.pem", "SecBox b-1", "secbox.local", validity, &err), 0);
    assert_int_equal(x509_server_check("ca2.pem", "leaf.key", "leaf.pem", names, NULL), -ESTALE);
    assert_int_equal(x509_server_check("ca.pem", "ca.key", "leaf.pem", names, NULL), -ESTALE);
    assert_int_equal(x509_server_check("ca.pem", "leaf.key", "none.pem", names, &err), -ENOENT);
    error_done(&err);
    assert_int_equal(file_write_atomic("bad.pem", "x", 1, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(x509_read("bad.pem", &(CertFacts) {}, &err), -EBADMSG);
    assert_string_equal(err.id, "x509.bad");
    error_done(&err);
}

static void test_names_that_mean_something_to_libcrypto(void **state)
{
    static const char *const bad[] = { "a,DNS:evil.example", "", "a b", "a;b", "@section", "dirName\n" };

    (void) state;
    make_both();
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        const char *const list[] = { "secbox.local", bad[i], NULL };
        Error err = {};

        assert_int_equal(x509_server_make("ca.key", "ca.pem", "x.key", "x.pem", list, validity, &err), -EINVAL);
        assert_string_equal(err.id, "x509.make");
        error_done(&err);
        assert_int_equal(x509_authority_make("y.key", "y.pem", "Y", bad[i], validity, &err), -EINVAL);
        error_done(&err);
    }
}

static void test_request(void **state)
{
    static const char *const wanted[] = { "caseta5.lan.example", "*.caseta5.lan.example", "other.example", NULL };
    static const char *const none[] = { NULL }, *const address[] = { "a.example", "192.0.2.1", NULL },
                             *const six[] = { "fd00::1", NULL }, *const injected[] = { "a,DNS:b", NULL },
                             *const star[] = { "*", NULL }, *const top[] = { "*.example", NULL },
                             *const part[] = { "a*.lan.example", NULL }, *const deep[] = { "*.*.example", NULL },
                             *const behind[] = { "*.a,DNS:b.example", NULL },
                             *const numbers[] = { "*.192.0.2.1", NULL };
    static const char *const *const bad[] = { none, address, six, injected, star, top, part, deep, behind, numbers };
    _cleanup_(freep) char *first = NULL, *again = NULL;
    struct stat st;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        Error err = {};

        assert_int_equal(x509_request_make("r.key", bad[i], &first, &err), -EINVAL);
        assert_string_equal(err.id, "x509.make");
        error_done(&err);
        assert_int_equal(access("r.key", F_OK), -1);
    }
    assert_int_equal(x509_request_make("r.key", wanted, &first, NULL), 0);
    assert_int_equal(stat("r.key", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(file_write_atomic("r.pem", first, strlen(first), 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    OPENSSL(dir, "req", "-verify", "-in", "r.pem", "-key", "r.key", "-out", "r.txt", "-text", "-noout");
    _cleanup_(freep) char *text = NULL;
    assert_int_equal(file_read("r.txt", 65536, &text, NULL, NULL), 0);
    assert_non_null(strstr(text, "DNS:caseta5.lan.example, DNS:*.caseta5.lan.example, DNS:other.example"));
    /* the key that is there is asked for again */
    assert_int_equal(x509_request_make("r.key", wanted, &again, NULL), 0);
    assert_int_equal(file_write_atomic("r.pem", again, strlen(again), 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    OPENSSL(dir, "req", "-verify", "-in", "r.pem", "-key", "r.key", "-noout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_pair_is_good),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_other_names_are_stale),
        cmocka_unit_test(test_foreign_parts_are_stale),
        cmocka_unit_test(test_names_that_mean_something_to_libcrypto),
        cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

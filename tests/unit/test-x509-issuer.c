/* SPDX-License-Identifier: MIT */
/* Authorities that were made anew under their old name, without key identifiers, as many private ones are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "lib/base/fileio.h"
#include "lib/data/x509-issuer.h"
#include "tests/unit/certificate.h"

static char folder[] = "/tmp/test-x509-issuer-XXXXXX";

/* openssl's own configuration would add the key identifiers. */
#define SETTINGS "[req]\ndistinguished_name = dn\n[dn]\n[ca]\nbasicConstraints = critical,CA:true\n"
#define MINIMAL "-config", "minimal.cnf"

static void make_authority(const char *name)
{
    _cleanup_(freep) char *key = str_format("%s.key", name), *cert = str_format("%s.pem", name);

    OPENSSL(folder, "req", "-x509", MINIMAL, "-extensions", "ca", NEW_KEY, "-keyout", key, "-out", cert, "-days", "2",
            "-subj", "/CN=authority");
}

static int setup(void **state)
{
    (void) state;
    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *settings = str_format("%s/minimal.cnf", folder);
    assert_int_equal(file_write_atomic(settings, SETTINGS, strlen(SETTINGS), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    make_authority("old");
    make_authority("new");
    make_authority("stranger");
    OPENSSL(folder, "req", MINIMAL, NEW_KEY, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=server");
    OPENSSL(folder, "x509", "-req", "-in", "leaf.csr", "-CA", "new.pem", "-CAkey", "new.key", "-set_serial", "7",
            "-days", "2", "-out", "leaf.pem");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    return dir_remove(folder, NULL);
}

static X509 *load(const char *name)
{
    _cleanup_(freep) char *path = str_format("%s/%s.pem", folder, name);
    FILE *f = fopen(path, "re");

    assert_non_null(f);
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(cert);
    return cert;
}

/* The verdict on the leaf with these authorities, in this order. */
static int verdict(const char *const *authorities)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509 *leaf = load("leaf");

    for (const char *const *name = authorities; *name; name++) {
        X509 *cert = load(*name);

        assert_int_equal(X509_STORE_add_cert(store, cert), 1);
        X509_free(cert);
    }
    x509_store_choose_signers(store);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
    int is = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(leaf);
    return is;
}

static void test_the_signer_is_found(void **state)
{
    static const char *const orders[][4] = {
        { "new" }, { "old", "new" }, { "new", "old" }, { "stranger", "old", "new" }, { "new", "stranger", "old" },
    };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(orders); i++)
        assert_int_equal(verdict(orders[i]), X509_V_OK);
}

static void test_others_are_refused(void **state)
{
    (void) state;
    assert_int_equal(verdict((const char *const[]) { "old", NULL }), X509_V_ERR_CERT_SIGNATURE_FAILURE);
    assert_int_equal(verdict((const char *const[]) { "old", "stranger", NULL }), X509_V_ERR_CERT_SIGNATURE_FAILURE);
    assert_int_equal(verdict((const char *const[]) { NULL }), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_signer_is_found),
        cmocka_unit_test(test_others_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

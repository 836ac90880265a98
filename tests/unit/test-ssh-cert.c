/* SPDX-License-Identifier: MIT */
/* Public keys of users and certificates over them. That OpenSSH reads them is shown in tests/integration/test_grants.py. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/key.h"
#include "lib/data/ssh-cert.h"

/* made by ssh-keygen */
#define ED_KEY "AAAAC3NzaC1lZDI1NTE5AAAAIA1EGUho6DY+coR2VsLJDc6aoPEzFIjN0R+PXFk+/XUy"
#define ED_FINGERPRINT "SHA256:MCUf8WjI2XZd9V5REH1wuxND7Qjf3Mm1kbjXZo4j1CI"
#define EC_HEAD "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDqc+RhjpkN/a5rhxeUbYJroGdgMpGNJzyVRZ6wLbJJn"
#define EC_KEY EC_HEAD "+ksfF4WvxxJobdbSPw+QMGJ4PhK0NBNf1IXcgyUYV6Q="
#define EC_FINGERPRINT "SHA256:SsB91hi2E1L3zaEE4HZwIanhv7tDlLGBGQW5KBRYmZE"

static void test_keys(void **state)
{
    static const struct {
        const char *text, *type, *fingerprint;
        size_t fields_len;
    } cases[] = {
        { "ssh-ed25519 " ED_KEY, "ssh-ed25519", ED_FINGERPRINT, 36 },
        { "ssh-ed25519 " ED_KEY "\n", "ssh-ed25519", ED_FINGERPRINT, 36 },
        { "ssh-ed25519 " ED_KEY " alice@desk, the new one\n", "ssh-ed25519", ED_FINGERPRINT, 36 },
        { "ecdsa-sha2-nistp256 " EC_KEY " ", "ecdsa-sha2-nistp256", EC_FINGERPRINT, 81 },
    };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        SshPublicKey k = {};
        Error err = {};

        if (ssh_public_key_parse(cases[i].text, &k, &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_string_equal(k.type, cases[i].type);
        assert_string_equal(k.fingerprint, cases[i].fingerprint);
        assert_int_equal(k.fields_len, cases[i].fields_len);
        ssh_public_key_done(&k);
    }
}

static void test_bad_keys(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        " ",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519\t" ED_KEY,
        " ssh-ed25519 " ED_KEY,
        "ssh-ed25519  " ED_KEY,
        "SSH-ED25519 " ED_KEY,
        "ssh-ed25519x " ED_KEY,
        "ssh-ed25519 " ED_KEY "\nssh-ed25519 " ED_KEY "\n",
        "ssh-ed25519 " ED_KEY " a\rb",
        "restrict ssh-ed25519 " ED_KEY,
        "ssh-ed25519 " ED_KEY "=",
        /* another type inside than in front, one byte too many, one missing, a point of 31 bytes, a length of 4 GiB */
        "ecdsa-sha2-nistp256 " ED_KEY,
        "ssh-ed25519 " EC_KEY,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAIA1EGUho6DY+coR2VsLJDc6aoPEzFIjN0R+PXFk+/XUy",
        "ssh-ed25519 " ED_KEY "AA==",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA1EGUho6DY+coR2VsLJDc6aoPEzFIjN0R+PXFk+/XU=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAH0QZSGjoNj5yhHZWwskNzpqg8TMUiM3RH49cWT79dTI=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5/////w1EGUho6DY+coR2VsLJDc6aoPEzFIjN0R+PXFk+/XUy",
        /* a point beside the curve, another curve's name, and the types that are not taken */
        "ecdsa-sha2-nistp256 " EC_HEAD "+ksfF4WvxxJobdbSPw+QMGJ4PhK0NBNf1IXcgyUYV6U=",
        "ecdsa-sha2-nistp256 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBDqc+RhjpkN/a5rhxeUbYJroGdgMpGNJzyVRZ6wL"
        "bJJn+ksfF4WvxxJobdbSPw+QMGJ4PhK0NBNf1IXcgyUYV6Q=",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC2",
        "ssh-ed25519-cert-v01@openssh.com " ED_KEY,
    };
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        SshPublicKey k = {};
        Error err = {};

        if (ssh_public_key_parse(texts[i], &k, &err) != -EBADMSG)
            fail_msg("taken: %s", texts[i]);
        assert_string_equal(err.id, "ssh.bad-key");
        assert_null(k.fields);
        error_done(&err);
    }

    _cleanup_(freep) char *padding = malloc(SSH_PUBLIC_KEY_MAX + 1);
    SshPublicKey k = {};
    memset(padding, 'x', SSH_PUBLIC_KEY_MAX);
    padding[SSH_PUBLIC_KEY_MAX] = '\0';
    _cleanup_(freep) char *longest = str_format("ssh-ed25519 %s %s", ED_KEY, padding);
    assert_int_equal(ssh_public_key_parse(longest, &k, NULL), -EBADMSG);
    longest[SSH_PUBLIC_KEY_MAX] = '\0';
    assert_int_equal(ssh_public_key_parse(longest, &k, NULL), 0);
    ssh_public_key_done(&k);
}

static char *sign(const SshCa *ca, const char *key)
{
    static const char *const extensions[] = { "permit-port-forwarding", "permit-pty", NULL };
    SshPublicKey k = {};
    char *text = NULL;
    const SshCertSpec spec = {
        .key = &k,
        .serial = UINT64_MAX,
        .key_id = "alice/g-1/7",
        .principal = "caseta5",
        .valid_before = 1800000000,
        .extensions = extensions,
    };

    assert_int_equal(ssh_public_key_parse(key, &k, NULL), 0);
    assert_int_equal(ssh_cert_sign(ca, &spec, &text, NULL), 0);
    ssh_public_key_done(&k);
    return text;
}

static void test_authority_and_certificates(void **state)
{
    char folder[] = "/tmp/test-ssh-cert-XXXXXX";
    _cleanup_(ssh_ca_freep) SshCa *made = NULL, *loaded = NULL, *none = NULL;
    _cleanup_(key_freep) Key *other = NULL;
    _cleanup_(freep) uint8_t *bytes = NULL;
    struct stat st;
    size_t len = 0;
    Error err = {};

    (void) state;
    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = str_format("%s/ca.pem", folder), *wrong = str_format("%s/key.pem", folder);
    assert_int_equal(ssh_ca_load_or_make(path, &made, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(ssh_ca_load_or_make(path, &loaded, &err), 0);
    _cleanup_(freep) char *a = ssh_ca_public(made, "ca"), *b = ssh_ca_public(loaded, "ca");
    assert_string_equal(a, b);
    SshPublicKey own = {};
    assert_int_equal(ssh_public_key_parse(a, &own, NULL), 0);
    ssh_public_key_done(&own);

    _cleanup_(freep) char *first = sign(made, "ssh-ed25519 " ED_KEY), *second = sign(made, "ssh-ed25519 " ED_KEY);
    _cleanup_(freep) char *third = sign(loaded, "ecdsa-sha2-nistp256 " EC_KEY);
    assert_true(str_starts(first, "ssh-ed25519-cert-v01@openssh.com AAAA"));
    assert_true(str_starts(third, "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA"));
    assert_string_not_equal(first, second); /* a nonce each */
    const char *encoded = strchr(first, ' ') + 1;
    assert_int_equal(base64_decode(encoded, strlen(encoded), &bytes, &len), 0);

    /* a key of another kind, or none, is never replaced: boxes trust what was there */
    assert_int_equal(key_load_or_make(wrong, (uid_t) -1, (gid_t) -1, &other, &err), 0);
    assert_int_equal(ssh_ca_load_or_make(wrong, &none, &err), -EBADMSG);
    assert_string_equal(err.id, "key.bad");
    assert_string_equal(err.file, wrong);
    error_done(&err);
    assert_int_equal(file_write_atomic(wrong, "", 0, 0600, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_int_equal(ssh_ca_load_or_make(wrong, &none, &err), -EBADMSG);
    error_done(&err);
    assert_int_equal(dir_remove(folder, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_authority_and_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The chain of the audit log, and what a box keeps of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/auth/audit-chain.h"
#include "lib/base/fileio.h"
#include "lib/data/json.h"
#include "lib/tunnel/audit-mark.h"

#define CLOUD "https://cloud.example"

/* The hash that the next link has to have. */
static void hash_of(const AuditChain *c, const char *canonical, char ret[static SHA256_HEX_SIZE])
{
    char text[512];

    (void) snprintf(text, sizeof(text), "%s\n%s", c->hash, canonical);
    assert_int_equal(sha256_hex(text, strlen(text), ret), 0);
}

static void add(AuditChain *c, const char *canonical)
{
    char hash[SHA256_HEX_SIZE];

    hash_of(c, canonical, hash);
    assert_int_equal(audit_chain_next(c, c->number + 1, hash, canonical, NULL), 0);
    assert_string_equal(c->hash, hash);
}

static void refuse(const AuditChain *at, uint64_t number, const char *hash, const char *canonical, const char *why)
{
    AuditChain c = *at;
    Error err = {};

    assert_int_equal(audit_chain_next(&c, number, hash, canonical, &err), -EBADMSG);
    assert_string_equal(error_id(&err), "audit.broken");
    assert_non_null(strstr(err.message, why));
    assert_int_equal(c.number, at->number);
    assert_string_equal(c.hash, at->hash);
    error_done(&err);
}

static void test_links_hold_in_order_only(void **state _unused_)
{
    AuditChain c = {}, other = {};
    char hash[SHA256_HEX_SIZE];

    add(&c, "[1]");
    add(&other, "[9]");
    hash_of(&c, "[2]", hash);
    refuse(&c, 2, hash, "[3]", "is not what it was");
    refuse(&other, 2, hash, "[2]", "is not what it was");
    refuse(&c, 3, hash, "[2]", "no number 2: entries were deleted");
    refuse(&c, 1, hash, "[2]", "no number 2");
    refuse(&c, 2, hash, NULL, "the entry was deleted");
    refuse(&c, 2, NULL, "[2]", "is not what it was");
    add(&c, "[2]");
    assert_int_equal(c.number, 2);
}

/* What the database computes by itself (tests/integration/test_audit_chain.py) is this. */
static void test_the_first_link_stands_behind_nothing(void **state _unused_)
{
    AuditChain c = {};
    char plain[SHA256_HEX_SIZE];

    assert_int_equal(sha256_hex("\n[1]", 4, plain), 0);
    assert_int_equal(audit_chain_next(&c, 1, plain, "[1]", NULL), 0);
}

static void test_heads(void **state _unused_)
{
    static const char hash[] = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    static const char *const numbers[] = { "1", "42", "9223372036854775807" };
    char text[128];

    for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
        (void) snprintf(text, sizeof(text), "%s:%s", numbers[i], hash);
        assert_true(audit_head_is_good(text));
        assert_true(strlen(text) < AUDIT_HEAD_SIZE);
        text[strlen(text) - 1] = '\0';
        assert_false(audit_head_is_good(text));
    }
    assert_false(audit_head_is_good(NULL));
    assert_false(audit_head_is_good(""));
    assert_false(audit_head_is_good(hash));
    (void) snprintf(text, sizeof(text), "01:%s", hash);
    assert_false(audit_head_is_good(text));
    (void) snprintf(text, sizeof(text), "1:%sA", hash);
    assert_false(audit_head_is_good(text));
    (void) snprintf(text, sizeof(text), "-1:%s", hash);
    assert_false(audit_head_is_good(text));
}

static void take(AuditMark *m, const char *head)
{
    _cleanup_(cJSON_Deletep) cJSON *welcome = cJSON_CreateObject();

    assert_int_equal(json_add_string(welcome, "auditHead", head), 0);
    audit_mark_take(m, welcome);
}

static void test_a_box_keeps_the_newest_of_its_cloud(void **state _unused_)
{
    static const char one[] = "1:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                      two[] = "2:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    char folder[] = "/tmp/secbox-audit-mark-XXXXXX";

    assert_non_null(mkdtemp(folder));
    _cleanup_(audit_mark_freep) AuditMark *m = audit_mark_new(folder, CLOUD);
    assert_non_null(m);
    assert_null(audit_mark_get(m));
    take(m, one);
    take(m, NULL); /* a gateway that does not know yet */
    take(m, "nonsense");
    assert_string_equal(audit_mark_get(m), one);
    take(m, two);
    _cleanup_(audit_mark_freep) AuditMark *again = audit_mark_new(folder, CLOUD);
    assert_string_equal(audit_mark_get(again), two);
    _cleanup_(audit_mark_freep) AuditMark *elsewhere = audit_mark_new(folder, "https://other.example");
    assert_null(audit_mark_get(elsewhere));
    assert_int_equal(dir_remove(folder, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_hold_in_order_only),
        cmocka_unit_test(test_the_first_link_stands_behind_nothing),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_a_box_keeps_the_newest_of_its_cloud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

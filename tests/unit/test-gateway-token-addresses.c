/* SPDX-License-Identifier: MIT */
/* What is written down of the addresses that tokens come from. The audit log is imitated: it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/http/token-addresses.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static size_t written;
static char *before;

void audit_write(Store *s _unused_, const AuditEntry *entry)
{
    const char *text = json_string(entry->detail, "before");

    free(before);
    before = text ? strdup(text) : NULL;
    written++;
    cJSON_Delete(entry->detail);
}

static void test_a_new_address_is_written_once(void **state _unused_)
{
    TokenAddressMap *t = token_addresses_new(NULL);

    written = 0;
    for (size_t i = 0; i < 3; i++)
        token_addresses_note(t, "one", "operator:ana", "192.0.2.1:4711");
    assert_int_equal(written, 1);
    token_addresses_note(t, "one", "operator:ana", "192.0.2.2:4711");
    assert_int_equal(written, 2);
    assert_string_equal(before, "192.0.2.1");
    token_addresses_free(t);
}

/* Each sign-in is another token: after many of them the newest is remembered still. */
static void test_of_many_the_oldest_is_forgotten(void **state _unused_)
{
    TokenAddressMap *t = token_addresses_new(NULL);
    const size_t many = 10100;

    for (size_t i = 0; i < many; i++) {
        _cleanup_(freep) char *hash = str_format("token-%zu", i);
        token_addresses_note(t, hash, "operator:ana", "192.0.2.1:4711");
    }
    written = 0;
    token_addresses_note(t, "token-10099", "operator:ana", "192.0.2.1:4711");
    token_addresses_note(t, "token-200", "operator:ana", "192.0.2.1:4711");
    assert_int_equal(written, 0);
    token_addresses_note(t, "token-0", "operator:ana", "192.0.2.1:4711");
    assert_int_equal(written, 1);
    token_addresses_free(t);
}

static int forget(void **state _unused_)
{
    free(before);
    before = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_address_is_written_once),
        cmocka_unit_test(test_of_many_the_oldest_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}

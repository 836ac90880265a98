/* SPDX-License-Identifier: MIT */
/* Which break-glass grants open a box that is well. */
#include "tests/unit/trust-documents.h"

#include <errno.h>

#include "recovery-agent/grant.h"

#define FLOOR (TRUST_NOON / USEC_PER_SEC)
#define HOUR 3600

static SignerKey *ana, *berta;

static int begin(void **state)
{
    _cleanup_(freep) char *signers = NULL;

    if (agent_root_make(state) < 0)
        return -1;
    signers = path_in_root(SIGNERS_DIR);
    ana = trust_key();
    berta = trust_key();
    return signers ? dir_make(signers, 0755, (uid_t) -1, (gid_t) -1, NULL) : -1;
}

static int end(void **state)
{
    ana = ed25519_free(ana);
    berta = ed25519_free(berta);
    return agent_root_remove(state);
}

static void pin(const SignerKey *key, const char *name)
{
    _cleanup_(freep) char *line = trust_line(key, name), *path = str_format(SIGNERS_DIR "/%s.pub", name);

    agent_root_write(path, line);
}

/* A grant's order for this box, of an hour from `issued` on, signed by this key. */
static cJSON *order_for(OrderKind kind, const char *device, const char *account, usec_t issued, const SignerKey *key)
{
    char *devices[] = { (char *) (uintptr_t) device, NULL };
    const OrderStatement s = { .kind = (char *) (uintptr_t) order_kind_to_string(kind),
                               .devices = devices,
                               .serial = issued,
                               .issued = issued,
                               .expires = issued + HOUR * USEC_PER_SEC,
                               .account = (char *) (uintptr_t) account };
    _cleanup_(freep) char *text = order_statement_print(&s);
    cJSON *envelope = order_envelope_new(text, strlen(text));

    assert_int_equal(order_envelope_sign(envelope, order_domain(kind), text, strlen(text), key, NULL), 0);
    return envelope;
}

static cJSON *order_of(OrderKind kind, const char *device, usec_t issued, const SignerKey *key)
{
    return order_for(kind, device, NULL, issued, key);
}

/* The error's id, or who has signed it and for whom, or "" when nobody has to. Takes the order. */
static const char *judge_for(cJSON *order, const char *account, uint64_t *seconds)
{
    static char said[64];
    const GrantView view = { .device = "casa", .time_floor = FLOOR };
    _cleanup_(cJSON_Deletep) cJSON *message = cJSON_CreateObject();
    _cleanup_(grant_signed_done) GrantSigned is = {};
    _cleanup_(error_done) Error err = {};

    assert_int_equal(json_add_string(message, "account", account), 0);
    if (order)
        assert_int_equal(json_add_item(message, "order", order), 0);
    int r = grant_check_signed(message, &view, seconds, &is, &err);
    snprintf(said, sizeof(said), "%s%s%s",
             r < 0    ? error_id(&err)
             : is.who ? is.who
                      : "",
             is.account ? " for " : "", is.account ? is.account : "");
    return said;
}

static const char *judge(cJSON *order, uint64_t *seconds)
{
    return judge_for(order, NULL, seconds);
}

static void test_nobody_is_pinned(void **state)
{
    uint64_t seconds = 2 * HOUR;

    (void) state;
    assert_string_equal(judge(NULL, &seconds), "");
    assert_string_equal(judge(cJSON_CreateString("x"), &seconds), "");
    assert_int_equal(seconds, 2 * HOUR);
}

static void test_signers_are_pinned(void **state)
{
    uint64_t seconds = 2 * HOUR, short_time = 60;

    (void) state;
    pin(ana, "ana");
    assert_string_equal(judge(NULL, &seconds), "order.unsigned");
    assert_string_equal(judge(cJSON_CreateString("x"), &seconds), "order.malformed");
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casa", TRUST_NOON, berta), &seconds), "order.unknown-signer");
    assert_string_equal(judge(order_of(ORDER_KIND_ROLLBACK, "casa", TRUST_NOON, ana), &seconds), "order.bad-signature");
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casb", TRUST_NOON, ana), &seconds), "order.other-box");
    assert_int_equal(seconds, 2 * HOUR);
    /* over at a time that has certainly passed, however the box's own clock stands */
    const usec_t hours_ago = TRUST_NOON - 2 * USEC_PER_HOUR, later = TRUST_NOON + 1000 * USEC_PER_DAY;
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casa", hours_ago, ana), &seconds), "order.expired");
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casa", later, ana), &seconds), "ana");
    assert_int_equal(seconds, HOUR);
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casa", TRUST_NOON, ana), &short_time), "ana");
    assert_int_equal(short_time, 60);
    /* used again shortly before its end, it does not open the box for an hour more */
    seconds = 2 * HOUR;
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casa", TRUST_NOON - 50 * USEC_PER_MINUTE, ana), &seconds),
                        "ana");
    assert_int_equal(seconds, 600);
    /* who may sign is never guessed */
    agent_root_write(SIGNERS_DIR "/berta.pub", "no key\n");
    assert_string_equal(judge(order_of(ORDER_KIND_GRANT, "casa", TRUST_NOON, ana), &seconds), "signer.bad-key");
}

/* Of either form, on a gateway that names the account and on one of before. */
static void test_an_account_is_signed(void **state)
{
    static const struct {
        const char *account, *of_message, *result;
    } cases[] = {
        { "ana", "ana", "ana for ana" },          { "ana", "root", "order.other-content" },
        { "root", "ana", "order.other-content" }, { "root", "root", "ana for root" },
        { "ana", NULL, "ana for ana" },           { NULL, "root", "ana" },
        { NULL, "ana", "order.no-account" },      { NULL, NULL, "ana" },
    };
    uint64_t seconds = HOUR;

    (void) state;
    pin(ana, "ana");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        OrderKind kind = cases[i].account ? ORDER_KIND_ACCOUNT_GRANT : ORDER_KIND_GRANT;
        cJSON *order = order_for(kind, "casa", cases[i].account, TRUST_NOON, ana);

        assert_string_equal(judge_for(order, cases[i].of_message, &seconds), cases[i].result);
    }
    /* neither form is the other: with an account under the old purpose, without one under the new */
    assert_string_equal(judge_for(order_for(ORDER_KIND_GRANT, "casa", "root", TRUST_NOON, ana), "root", &seconds),
                        "order.malformed");
    assert_string_equal(judge_for(order_of(ORDER_KIND_ACCOUNT_GRANT, "casa", TRUST_NOON, ana), "root", &seconds),
                        "order.malformed");
    assert_string_equal(
        judge_for(order_for(ORDER_KIND_ACCOUNT_GRANT, "casa", "root", TRUST_NOON, berta), "root", &seconds),
        "order.unknown-signer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_is_pinned, begin, end),
        cmocka_unit_test_setup_teardown(test_signers_are_pinned, begin, end),
        cmocka_unit_test_setup_teardown(test_an_account_is_signed, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Root documents: who has to sign a rotation, what they may say, and for whom and when they count. */
#include "tests/unit/trust-documents.h"

#include <errno.h>

#include "lib/base/encode.h"

/* The error's id, or "" when it opens. */
static const char *open_with(const cJSON *envelope, const OrderSigners *before, char **ret_who)
{
    static char id[64];
    _cleanup_(trust_root_done) TrustRoot root = {};
    _cleanup_(error_done) Error err = {};
    int r = trust_root_open(envelope, before, &root, ret_who, &err);

    assert_true(r == 0 ? root.version > 0 : root.version == 0 && err.message);
    snprintf(id, sizeof(id), "%s", r == 0 ? "" : error_id(&err));
    return id;
}

static void test_f33_old_and_new_keys_sign(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = trust_key(), *berta = trust_key(), *carla = trust_key(),
                                       *stranger = trust_key();
    _cleanup_(order_signers_done) OrderSigners before = { .threshold = 1 };
    /* ana and berta count; carla shall come for berta, and two have to sign from then on */
    _cleanup_(freep) char *text = trust_text(2, 2, ORDER_ANY_BOX, TRUST_KEYS({ "ana", ana }, { "carla", carla }));
    const struct {
        const SignerKey *keys[5];
        const char *of_one, *of_two;
    } cases[] = {
        { { NULL }, "order.unknown-signer", "order.unknown-signer" },
        { { carla, NULL }, "order.unknown-signer", "order.unknown-signer" },
        { { ana, NULL }, "root.not-agreed", "order.too-few" },
        { { ana, ana, ana, NULL }, "root.not-agreed", "order.too-few" },
        { { berta, NULL }, "root.not-agreed", "order.too-few" },
        { { berta, carla, NULL }, "root.not-agreed", "order.too-few" },
        { { ana, berta, NULL }, "root.not-agreed", "root.not-agreed" },
        { { ana, carla, NULL }, "", "order.too-few" },
        { { stranger, ana, carla, NULL }, "", "order.too-few" },
        { { carla, berta, ana, NULL }, "", "" },
    };

    (void) state;
    trust_pin(&before, ana, "ana");
    trust_pin(&before, berta, "berta");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *envelope = trust_sign(text, cases[i].keys);
        before.threshold = 1;
        assert_string_equal(open_with(envelope, &before, NULL), cases[i].of_one);
        before.threshold = 2;
        assert_string_equal(open_with(envelope, &before, NULL), cases[i].of_two);
    }
    _cleanup_(cJSON_Deletep) cJSON *all = trust_sign(text, TRUST_BY(carla, berta, ana));
    _cleanup_(freep) char *who = NULL, *own = NULL;
    assert_string_equal(open_with(all, &before, &who), "");
    assert_string_equal(who, "berta, ana");
    assert_string_equal(open_with(all, NULL, &own), "");
    assert_string_equal(own, "carla, ana");
}

static void flip_each_bit(cJSON *envelope, cJSON *object, const char *key, const OrderSigners *before)
{
    _cleanup_(freep) uint8_t *bytes = NULL;
    const char *text = json_string(object, key);
    size_t len = 0;

    assert_int_equal(base64_decode(text, strlen(text), &bytes, &len), 0);
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        _cleanup_(freep) char *changed = base64_encode(bytes, len);
        assert_int_equal(json_add_item(object, "other", cJSON_CreateString(changed)), 0);
        cJSON *other = cJSON_DetachItemFromObjectCaseSensitive(object, "other");
        assert_true(cJSON_ReplaceItemInObjectCaseSensitive(object, key, other));
        assert_string_not_equal(open_with(envelope, before, NULL), "");
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    _cleanup_(freep) char *same = base64_encode(bytes, len);
    assert_true(cJSON_ReplaceItemInObjectCaseSensitive(object, key, cJSON_CreateString(same)));
    assert_string_equal(open_with(envelope, before, NULL), "");
}

static void test_f25_no_bit_can_be_changed(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = trust_key();
    _cleanup_(order_signers_done) OrderSigners before = { .threshold = 1 };
    _cleanup_(freep) char *text = trust_text(1, 1, "casa", TRUST_KEYS({ "ana", ana }));
    _cleanup_(cJSON_Deletep) cJSON *envelope = trust_sign(text, TRUST_BY(ana));

    (void) state;
    trust_pin(&before, ana, "ana");
    flip_each_bit(envelope, envelope, "statement", &before);
    flip_each_bit(envelope, cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(envelope, "signatures"), 0),
                  "signature", &before);
    /* a signature of an order is none of a root document, and the other way round */
    _cleanup_(cJSON_Deletep) cJSON *order = order_envelope_new(text, strlen(text));
    assert_int_equal(order_envelope_sign(order, order_domain(ORDER_KIND_DEPLOYMENT), text, strlen(text), ana, NULL), 0);
    assert_string_equal(open_with(order, &before, NULL), "order.bad-signature");
}

static const char *read_id(const char *text)
{
    static char id[64];
    _cleanup_(trust_root_done) TrustRoot root = {};
    _cleanup_(error_done) Error err = {};
    int r = trust_root_read(text, strlen(text), &root, &err);

    snprintf(id, sizeof(id), "%s", r == 0 ? "" : error_id(&err));
    return id;
}

/* Sets a member of the document to this JSON, or takes it away. */
static char *changed(const char *text, const char *key, const char *value)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(text);

    cJSON_DeleteItemFromObjectCaseSensitive(o, key);
    if (value)
        assert_int_equal(json_add_item(o, key, json_of(value)), 0);
    return json_print(o);
}

static void test_what_it_may_say(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = trust_key(), *berta = trust_key();
    _cleanup_(freep) char *text = trust_text(1, 2, ORDER_ANY_BOX, TRUST_KEYS({ "ana", ana }, { "berta", berta }));
    _cleanup_(freep) char *line = trust_line(ana, "x"), *twice = NULL, *named_twice = NULL, *odd = NULL, *more = NULL;
    _cleanup_(freep) char *other = trust_line(berta, "x");

    (void) state;
    assert_string_equal(read_id(text), "");
    assert_null(strstr(text, "comment")); /* what is for people is not signed */
    twice = str_format("[{\"name\":\"a\",\"key\":\"%s\"},{\"name\":\"b\",\"key\":\"%s\"}]", line, line);
    named_twice = str_format("[{\"name\":\"a\",\"key\":\"%s\"},{\"name\":\"a\",\"key\":\"%s\"}]", line, other);
    odd = str_format("[{\"name\":\"../a\",\"key\":\"%s\"},{\"name\":\"b\",\"key\":\"%s\"}]", line, other);
    more = str_format("[{\"name\":\"a\",\"key\":\"%s\",\"until\":1},{\"name\":\"b\",\"key\":\"%s\"}]", line, other);
    const struct {
        const char *key, *value, *id;
    } cases[] = {
        { "kind", "\"deployment\"", "root.malformed" },
        { "kind", NULL, "root.malformed" },
        { "version", "\"0\"", "root.malformed" },
        { "version", "\"x\"", "root.malformed" },
        { "version", NULL, "root.malformed" },
        { "devices", "[]", "root.malformed" },
        { "devices", NULL, "root.malformed" },
        { "issuedAt", NULL, "root.malformed" },
        { "expiresAt", NULL, "root.malformed" },
        { "expiresAt", "\"2025-11-30T12:00:00.000Z\"", "root.malformed" },
        { "expiresAt", "\"2099-01-01T00:00:00.000Z\"", "root.malformed" },
        { "threshold", NULL, "root.malformed" },
        { "threshold", "0", "root.malformed" },
        { "threshold", "3", "root.malformed" },
        { "threshold", "-1", "root.malformed" },
        { "keys", NULL, "root.malformed" },
        { "keys", "[]", "root.malformed" },
        { "keys", "[7]", "root.malformed" },
        { "keys", twice, "root.malformed" },
        { "keys", named_twice, "root.malformed" },
        { "keys", odd, "root.malformed" },
        { "keys", more, "root.malformed" },
        { "keys", "[{\"name\":\"a\",\"key\":\"ssh-ed25519 AAAA\"},{\"name\":\"b\",\"key\":\"ssh-ed25519 AAAA\"}]",
          "signer.bad-key" },
        { "when", "\"later\"", "root.malformed" },
        { "reason", "\"why\"", "" },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *other_text = changed(text, cases[i].key, cases[i].value);
        if (!str_equal(read_id(other_text), cases[i].id))
            fail_msg("%s %s: %s", cases[i].key, cases[i].value ? cases[i].value : "", read_id(other_text));
    }
}

static void test_f26_f27_f28_f33_for_whom_and_when(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = trust_key();
    _cleanup_(freep) char *text = trust_text(7, 1, "casa", TRUST_KEYS({ "ana", ana }));
    _cleanup_(trust_root_done) TrustRoot root = {};
    const usec_t end = TRUST_NOON + 30 * USEC_PER_DAY;
    const struct {
        const char *device;
        usec_t now;
        bool known;
        uint64_t floor;
        const char *id;
    } cases[] = {
        { "casa", TRUST_NOON, true, 0, "" },
        { "casa", TRUST_NOON, true, 6, "" },
        { "casa", TRUST_NOON, true, 7, "root.older" },
        { "casa", TRUST_NOON, true, 8, "root.older" },
        { "casb", TRUST_NOON, true, 0, "root.other-box" },
        { NULL, TRUST_NOON, true, 0, "root.other-box" },
        { "casa", end, true, 0, "" },
        { "casa", end + 1, true, 0, "root.expired" },
        { "casa", end + 1, false, 0, "" }, /* a clock that may be anything says nothing */
        { "casa", TRUST_NOON - USEC_PER_HOUR, true, 0, "" },
        { "casa", TRUST_NOON - 2 * USEC_PER_HOUR, true, 0, "root.not-yet" },
        { "casa", 0, false, 0, "" },
    };

    (void) state;
    assert_int_equal(trust_root_read(text, strlen(text), &root, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const OrderView view = { .device = cases[i].device, .now = cases[i].now, .clock_is_known = cases[i].known };
        _cleanup_(error_done) Error err = {};
        int r = trust_root_check(&root, &view, cases[i].floor, &err);
        if (!str_equal(r == 0 ? "" : error_id(&err), cases[i].id))
            fail_msg("case %zu: %s", i, error_message(&err, r));
    }
    /* whoever could count to the end could make a box refuse all to come */
    const OrderView view = { .device = "casa", .now = TRUST_NOON, .clock_is_known = true };
    _cleanup_(error_done) Error err = {};
    root.version = UINT64_MAX;
    assert_int_equal(trust_root_check(&root, &view, 7, &err), -EACCES);
    assert_string_equal(error_id(&err), "root.jump");
    root.version = 7 + TRUST_ROOT_STEP_MAX;
    assert_int_equal(trust_root_check(&root, &view, 7, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f33_old_and_new_keys_sign),
        cmocka_unit_test(test_f25_no_bit_can_be_changed),
        cmocka_unit_test(test_what_it_may_say),
        cmocka_unit_test(test_f26_f27_f28_f33_for_whom_and_when),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

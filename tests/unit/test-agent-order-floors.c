/* SPDX-License-Identifier: MIT */
/* What a box remembers of the signed orders that it took. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "mgmt-agent/state/order-floors.h"

static char *text(const char *literal)
{
    return (char *) (uintptr_t) literal;
}

static void take(OrderKind kind, uint64_t serial, const char *id, const char *who)
{
    const OrderFloor floor = {
        .serial = serial, .issued = serial, .statement = text("ab"), .id = text(id), .who = text(who)
    };

    assert_int_equal(order_floors_take(kind, &floor, NULL), 0);
}

/* "authority" of the result of this order, as JSON. */
static char *authority_of(const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *result = cJSON_CreateObject();

    assert_int_equal(json_add_string(result, "id", id), 0);
    assert_int_equal(order_floors_describe(result), 0);
    return json_print(cJSON_GetObjectItemCaseSensitive(result, "authority"));
}

static void assert_authority(const char *id, const char *expected)
{
    _cleanup_(freep) char *got = authority_of(id);

    assert_string_equal(got, expected);
}

static void test_packages_are_counted_apart(void **state)
{
    _cleanup_(order_floors_done) OrderFloors f = {};

    (void) state;
    assert_int_equal(order_floors_load(&f, NULL), 0);
    assert_null(order_floors_of(&f, ORDER_KIND_DEPLOYMENT));
    order_floors_done(&f);
    assert_authority("d1", "{\"unsigned\":true}");
    take(ORDER_KIND_DEPLOYMENT, 5000000, "d1", "ana");
    take(ORDER_KIND_AGENT_PACKAGE, 4000000, "p1", "berta");
    take(ORDER_KIND_RELEASE, 3000000, "r1", "carla");
    take(ORDER_KIND_ROLLBACK, 6000000, "d2", "ana, berta");
    assert_int_equal(order_floors_load(&f, NULL), 0);
    for (OrderKind kind = 0; kind < _ORDER_KIND_MAX; kind++)
        assert_string_equal(order_floors_of(&f, kind)->id, kind == ORDER_KIND_AGENT_PACKAGE ? "p1"
                                                           : kind == ORDER_KIND_RELEASE     ? "r1"
                                                                                            : "d2");
    assert_int_equal(order_floors_of(&f, ORDER_KIND_ROLLBACK)->serial, 6000000);
    assert_authority("d2", "{\"signedBy\":\"ana, berta\",\"serial\":\"6000000\"}");
    assert_authority("p1", "{\"signedBy\":\"berta\",\"serial\":\"4000000\"}");
    assert_authority("r1", "{\"signedBy\":\"carla\",\"serial\":\"3000000\"}");
    assert_authority("d1", "{\"unsigned\":true}");
}

static void test_what_another_version_wrote_stays(void **state)
{
    _cleanup_(freep) char *kept = NULL;

    (void) state;
    agent_root_write(AGENT_STATE_DIR "/orders.json", "{\"signers\":{\"version\":3},\"services\":{\"serial\":\"1\"}}");
    take(ORDER_KIND_AGENT_PACKAGE, 4000000, "p1", "berta");
    kept = agent_root_read(AGENT_STATE_DIR "/orders.json");
    assert_non_null(strstr(kept, "\"signers\":{\"version\":3}"));
    assert_non_null(strstr(kept, "\"services\":{\"serial\":\"1\""));
}

static void test_f56_a_damaged_file_is_no_empty_one(void **state)
{
    _cleanup_(order_floors_done) OrderFloors f = {};
    _cleanup_(error_done) Error err = {};
    const OrderFloor floor = { .serial = 1 };

    (void) state;
    agent_root_write(AGENT_STATE_DIR "/orders.json", "{\"serv");
    assert_true(order_floors_load(&f, &err) < 0);
    assert_string_equal(err.id, "store.read");
    assert_true(order_floors_take(ORDER_KIND_ROLLBACK, &floor, NULL) < 0);
    /* nobody knows who signed it: that nobody did would be a lie */
    assert_null(authority_of("d1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_packages_are_counted_apart, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_what_another_version_wrote_stays, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_f56_a_damaged_file_is_no_empty_one, agent_root_make, agent_root_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

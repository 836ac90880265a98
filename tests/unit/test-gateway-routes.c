/* SPDX-License-Identifier: MIT */
/* Which routes into a box are tried, and what a grant asks for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/sessions/grants.h"
#include "gateway/sessions/access-routes.h"
#include "lib/data/json.h"

static void test_routes(void **state)
{
    AccessRoute routes[ACCESS_ROUTES_MAX];
    size_t n = 0;

    (void) state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(access_routes_parse(i ? "auto" : NULL, routes, &n, NULL), 0);
        assert_int_equal(n, 3);
        assert_int_equal(routes[0].role, ROLE_DEVICE);
        assert_int_equal(routes[1].role, ROLE_MGMT);
        assert_int_equal(routes[2].role, ROLE_RECOVERY);
    }
    assert_int_equal(access_routes_parse("recovery", routes, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(routes[0].role, ROLE_RECOVERY);

    static const char *const bad[] = { "", "Auto", "device ", "devices", "operator" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        Error err = {};
        assert_int_equal(access_routes_parse(bad[i], routes, &n, &err), -EINVAL);
        assert_string_equal(err.id, "bridge.way");
        error_done(&err);
    }
}

static void test_grants_that_hold(void **state)
{
    Grant g = { .id = "g-1", .device = "caseta5", .person = "alice", .seconds_left = 1 };
    const struct {
        const char *person, *device, *id;
        int64_t seconds_left;
        bool revoked;
    } cases[] = {
        { "alice", "caseta5", NULL, 1, false },
        { "alice", NULL, NULL, 1, false },
        { "bob", "caseta5", "grant.not-yours", 1, false },
        { "alice", "caseta6", "grant.other-device", 1, false },
        { "alice", "caseta5", "grant.expired", 0, false },
        { "alice", "caseta5", "grant.revoked", 0, true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Error err = {};
        g.seconds_left = cases[i].seconds_left;
        g.revoked = cases[i].revoked;
        assert_int_equal(grant_check(&g, cases[i].person, cases[i].device, &err), cases[i].id ? -EACCES : 0);
        if (cases[i].id)
            assert_string_equal(err.id, cases[i].id);
        error_done(&err);
    }
}

static void test_what_is_asked_for(void **state)
{
    static const char text[] =
        "{\"device\": \"caseta5\", \"reason\": \" x\", \"seconds\": 86400, \"breakGlass\": true}";
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;
    GrantRequest q = {};

    (void) state;
    assert_int_equal(json_parse_object(text, strlen(text), &body, NULL), 0);
    assert_int_equal(grant_request_read(body, &q, NULL), 0);
    assert_string_equal(q.device, "caseta5");
    assert_string_equal(q.reason, " x");
    assert_int_equal(q.seconds, 86400);
    assert_int_equal(q.max_seconds, GRANT_SESSION_SECONDS_DEFAULT);
    assert_int_equal(q.idle_seconds, GRANT_IDLE_SECONDS_DEFAULT);
    assert_true(q.break_glass);
    assert_false(q.forwarding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_grants_that_hold),
        cmocka_unit_test(test_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What an operator's request for a change may say, and which agents an order can be sent to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/deployments/change-request.h"
#include "gateway/devices/agent-orders.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

static void assert_outcome(const char *what, int r, const Error *err, const char *wanted_id)
{
    if ((r < 0) != (wanted_id != NULL) || (r < 0 && !str_equal(error_id(err), wanted_id)))
        fail_msg("%s: %d %s", what, r, error_message(err, r));
}

static void what_every_change_takes_along(void **state _unused_)
{
    static const struct {
        const char *body, *id;
        unsigned deadline;
        const char *reason;
    } cases[] = {
        { "{}", NULL, CONFIRM_SECONDS_DEFAULT, NULL },
        { "{\"confirmDeadlineSeconds\":600,\"reason\":\"new camera\"}", NULL, 600, "new camera" },
        { "{\"confirmDeadlineSeconds\":3600}", NULL, CONFIRM_SECONDS_MAX, NULL },
        { "{\"confirmDeadlineSeconds\":3601}", "request.bad-deadline", 0, NULL },
        { "{\"confirmDeadlineSeconds\":0}", "request.bad-deadline", 0, NULL },
        { "{\"confirmDeadlineSeconds\":-1}", "request.bad-deadline", 0, NULL },
        { "{\"confirmDeadlineSeconds\":1.5}", "request.bad-deadline", 0, NULL },
        { "{\"confirmDeadlineSeconds\":true}", "request.bad-deadline", 0, NULL },
        { "{\"reason\":\"a\\nb\"}", "request.bad-reason", 0, NULL },
        { "{\"reason\":\"\\u001b[31mred\"}", "request.bad-reason", 0, NULL },
        { "{\"reason\":\"a\\u202eb\"}", "request.bad-reason", 0, NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *body = cJSON_Parse(cases[i].body);
        _cleanup_(error_done) Error err = {};
        DeploymentRequest request = {};
        int r = change_request_read(body, &request, &err);

        assert_outcome(cases[i].body, r, &err, cases[i].id);
        if (r < 0)
            continue;
        assert_int_equal(request.confirm_deadline, cases[i].deadline);
        if (!str_equal(request.reason, cases[i].reason))
            fail_msg("%s: %s", cases[i].body, request.reason ? request.reason : "no reason");
    }
}

static void a_reason_has_a_limit(void **state _unused_)
{
    for (size_t over = 0; over <= 1; over++) {
        _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
        _cleanup_(error_done) Error err = {};
        char reason[CHANGE_REASON_MAX + 2] = "";
        DeploymentRequest request = {};

        memset(reason, 'a', CHANGE_REASON_MAX + over);
        cJSON_AddStringToObject(body, "reason", reason);
        assert_outcome("a long reason", change_request_read(body, &request, &err), &err,
                       over ? "request.bad-reason" : NULL);
    }
}

static void where_to_go_back_to(void **state _unused_)
{
    static const struct {
        const char *body, *id, *target;
    } cases[] = {
        { "{}", NULL, NULL },
        { "{\"to\":\"7\"}", NULL, "7" },
        { "{\"to\":\"local-1764400000000\"}", NULL, "local-1764400000000" },
        { "{\"to\":7}", "snapshot.bad-version", NULL },
        { "{\"to\":\"\"}", "snapshot.bad-version", NULL },
        { "{\"to\":null}", "snapshot.bad-version", NULL },
        { "{\"to\":\"../7\"}", "snapshot.bad-version", NULL },
        { "{\"to\":\"7 \"}", "snapshot.bad-version", NULL },
        { "{\"to\":\"12345678901234567890123456789012345678901234567\"}", "snapshot.bad-version", NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *body = cJSON_Parse(cases[i].body);
        _cleanup_(error_done) Error err = {};
        const char *target = NULL;
        int r = change_request_read_target(body, &target, &err);

        assert_outcome(cases[i].body, r, &err, cases[i].id);
        if (r == 0 && !str_equal(target, cases[i].target))
            fail_msg("%s: %s", cases[i].body, target ? target : "nothing");
    }
}

/* mgmt-link holds the tunnel, and mgmt-agent may be dead behind it; that is not the same as being old. */
static void which_agents_an_order_can_be_sent_to(void **state _unused_)
{
    static const struct {
        const char *status; /* NULL: none came */
        AgentOrder order;
        int r;
        const char *id;
    } cases[] = {
        { NULL, ORDER_ROLLBACK, -ENOTCONN, "device.agent-silent" },
        { NULL, ORDER_DOCTOR, -ENOTCONN, "device.agent-silent" },
        { "{}", ORDER_ROLLBACK, -EBADMSG, "rollback.unsupported" },
        { "{}", ORDER_DOCTOR, -EBADMSG, "doctor.unsupported" },
        { "{\"accepts\":\"doctor.ask\"}", ORDER_DOCTOR, -EBADMSG, "doctor.unsupported" },
        { "{\"accepts\":[7,\"doctor.ask\"]}", ORDER_DOCTOR, 0, NULL },
        { "{\"accepts\":[\"doctor.ask\"]}", ORDER_ROLLBACK, -EBADMSG, "rollback.unsupported" },
        { "{\"accepts\":[\"compose.rollback\"]}", ORDER_ROLLBACK, 0, NULL },
        { "{\"accepts\":[\"image.update\"]}", ORDER_UPDATE, 0, NULL },
        { "{\"accepts\":[\"updates.halted\"]}", ORDER_HALTED, 0, NULL },
        { "{\"accepts\":[\"image.update\"]}", ORDER_AGENT, -EBADMSG, "agent-update.unsupported" },
        { "{\"accepts\":[\"image.update\"]}", ORDER_RELEASE, -EBADMSG, "release.unsupported" },
        { "{\"accepts\":[\"agent.update\"]}", ORDER_AGENT, 0, NULL },
        { "{\"accepts\":[\"agent.update\"]}", ORDER_BUNDLE, -EBADMSG, "bundle.unsupported" },
        { "{\"accepts\":[\"bundle\"]}", ORDER_BUNDLE, 0, NULL },
        { "{\"accepts\":[\"bundle\"]}", ORDER_SEALED, -EBADMSG, "bundle.unsupported" },
        { "{\"accepts\":[\"secrets.sealed\"]}", ORDER_SEALED, 0, NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *status = cases[i].status ? cJSON_Parse(cases[i].status) : NULL;
        AgentOrders orders = status ? agent_orders_read(status) : (AgentOrders) {};
        _cleanup_(error_done) Error err = {};

        assert_int_equal(agent_orders_check(&orders, cases[i].order, "casa", &err), cases[i].r);
        if (cases[i].id)
            assert_string_equal(error_id(&err), cases[i].id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_every_change_takes_along),
        cmocka_unit_test(a_reason_has_a_limit),
        cmocka_unit_test(where_to_go_back_to),
        cmocka_unit_test(which_agents_an_order_can_be_sent_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

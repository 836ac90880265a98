/* SPDX-License-Identifier: MIT */
/* Statements of SQL: as many parameters as the text names, and each as libpq wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/store/approvals-table.h"
#include "gateway/store/audit-table.h"
#include "gateway/store/deployments-table.h"
#include "gateway/store/devices-table.h"
#include "gateway/store/grants-table.h"
#include "gateway/store/media-table.h"
#include "gateway/store/rollouts-table.h"
#include "gateway/store/schema.h"
#include "gateway/store/sessions-table.h"
#include "gateway/store/sign-ins-table.h"
#include "gateway/store/tokens-table.h"
#include "gateway/store/trust-roots-table.h"
#include "lib/base/mem.h"

/* The highest $N in the text, each number below it being there, too. */
static size_t params_named(const char *sql)
{
    bool seen[STATEMENT_PARAMS_MAX + 2] = {};
    size_t highest = 0;
    for (const char *c = sql; *c; c++) {
        size_t n = *c == '$' ? strtoul(c + 1, NULL, 10) : 0;
        assert_true(n <= STATEMENT_PARAMS_MAX);
        seen[n] = true;
        highest = n > highest ? n : highest;
    }
    for (size_t i = 1; i <= highest; i++)
        assert_true(seen[i]);
    return highest;
}

static void check(Statement st)
{
    assert_int_equal(params_named(st.sql), st.n);
}

static void test_each_parameter_is_named(void **state _unused_)
{
    check(sql_audit_add(&(AuditRow) {}));
    check(sql_audit_add_once(&(AuditRow) {}, "", ""));
    check(sql_approval_take(&(ApprovalAsk) {}));
    check(sql_approvals(NULL));
    check(sql_approval("", NULL));
    check(sql_approval_decide("", "", "", ""));
    check(sql_approvals_expire());
    check(sql_audit_links(0, 1));
    check(sql_audit_unlinked(0, 5000));
    check(sql_audit_head());
    check(sql_audit_has_link(1, ""));
    check(sql_audit_list(1, 0, NULL));
    check(sql_token_owner("", "", NULL));
    check(sql_token_add(&(NewToken) {}));
    check(sql_token_used(""));
    check(sql_tokens());
    check(sql_token_revoke(""));
    check(sql_devices(NULL));
    check(sql_device(""));
    check(sql_devices_reached("", "", ""));
    check(sql_device_add(&(NewDevice) {}));
    check(sql_device_renew_bootstrap(&(NewDevice) {}));
    check(sql_device_set_blocked("", true, ""));
    check(sql_device_status("", "", ""));
    check(sql_device_seen(""));
    check(sql_devices_known());
    check(sql_device_host_keys("", "", ""));
    check(sql_device_key_revoke("", "", ""));
    check(sql_device_keys());
    check(sql_devices_labelled(""));
    check(sql_bootstrap("", "", "", ""));
    check(sql_device_key_register(&(NewDeviceKey) {}));
    check(sql_device_key_register_vouched(&(NewDeviceKey) {}));
    check(sql_device_vouch("", ""));
    check(sql_deployment("", 1));
    check(sql_deployments("", "", 1));
    check(sql_deployment_events("", 1, -1));
    check(sql_deployments_open());
    check(sql_deployment_content(""));
    check(sql_deployment_add(&(NewDeployment) {}));
    check(sql_deployment_add_turn(&(NewDeployment) {}, ""));
    check(sql_deployment_progress("", 1, "", ""));
    check(sql_deployment_end(&(DeploymentEnd) {}));
    check(sql_rollout_add(&(NewRollout) {}));
    check(sql_rollouts(1, NULL));
    check(sql_rollout(""));
    check(sql_rollout_change(&(RolloutChange) {}));
    check(sql_rollout_step(&(RolloutStep) {}));
    check(sql_rollout_boxes_away("", ""));
    check(sql_rollout_box_skip("", "", ""));
    check(sql_rollouts_open());
    check(sql_rollout_boxes());
    check(sql_grant_add(&(NewGrant) {}));
    check(sql_grant(""));
    check(sql_grant_revoke("", ""));
    check(sql_grants(NULL, NULL, true, NULL));
    check(sql_grant_for_session("", ""));
    check(sql_grant_for_certificate("", "", "", NULL));
    check(sql_withdrawn("", ""));
    check(sql_session_open("", "", "", "", ""));
    check(sql_session_bytes("", 1, 1));
    check(sql_session_close(&(SessionEnd) {}));
    check(sql_sessions_close_all(""));
    check(sql_sessions(NULL, 1, NULL));
    check(sql_media_token_add(&(NewMediaToken) {}));
    check(sql_media_tokens_revoke("", NULL, ""));
    check(sql_media_tokens_revoked());
    check(sql_sign_in_add(&(SignInRow) {}));
    check(sql_sign_in_end(""));
    check(sql_sign_ins());
    check(sql_sign_ins_revoke(""));
    check(sql_trust_root_send(&(NewTrustRoot) {}));
    check(sql_trust_roots_waiting());
    check(sql_trust_root_answered("", "", NULL));
    check(sql_trust_roots());
}

static void test_parameters_as_text(void **state _unused_)
{
    const Statement st = STATEMENT("SELECT $1, $2, $3, $4, $5, $6", sql_text("it's"), sql_text(NULL), sql_text(""),
                                   sql_number(INT64_MIN), sql_number(0), sql_flag(false));
    _cleanup_(freep) char **params = statement_params(&st);
    assert_non_null(params);
    assert_string_equal(params[0], "it's");
    assert_null(params[1]);
    assert_string_equal(params[2], "");
    assert_string_equal(params[3], "-9223372036854775808");
    assert_string_equal(params[4], "0");
    assert_string_equal(params[5], "false");
}

static void test_no_parameters(void **state _unused_)
{
    const Statement st = sql_tokens();
    _cleanup_(freep) char **params = statement_params(&st);
    assert_non_null(params);
    assert_int_equal(st.n, 0);
}

/* The second of two steps with one number would never be carried out. */
static void test_steps_ascend(void **state _unused_)
{
    const SchemaStep *step = gateway_schema.steps;
    assert_int_equal(step->version, 1);
    for (; step[1].version > 0; step++)
        assert_true(step[1].version > step->version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_parameter_is_named),
        cmocka_unit_test(test_parameters_as_text),
        cmocka_unit_test(test_no_parameters),
        cmocka_unit_test(test_steps_ascend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

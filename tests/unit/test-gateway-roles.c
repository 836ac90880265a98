/* SPDX-License-Identifier: MIT */
/* Roles of operator tokens, and which role each route of the gateway needs. */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/auth/roles.h"
#include "gateway/cameras/api-camera-tickets.h"
#include "gateway/cameras/box-cameras.h"
#include "gateway/cameras/box-recordings.h"
#include "gateway/communities/api-boxes.h"
#include "gateway/communities/api-communities.h"
#include "gateway/communities/api-import.h"
#include "gateway/communities/api-passes.h"
#include "gateway/communities/api-recordings.h"
#include "gateway/communities/box-events.h"
#include "gateway/communities/faces.h"
#include "gateway/communities/media-revocations.h"
#include "gateway/communities/photos.h"
#include "gateway/deployments/api-deployments.h"
#include "gateway/deployments/bundle-keys.h"
#include "gateway/deployments/bundles.h"
#include "gateway/devices/api-devices.h"
#include "gateway/devices/api-enrolments.h"
#include "gateway/devices/api-lan-certificate.h"
#include "gateway/devices/api-query.h"
#include "gateway/devices/claim.h"
#include "gateway/devices/trust-roots.h"
#include "gateway/health/api-health.h"
#include "gateway/deployments/api-templates.h"
#include "gateway/health/api-metrics.h"
#include "gateway/http/api-audit.h"
#include "gateway/http/approvals.h"
#include "gateway/http/label-scope.h"
#include "gateway/rollouts/api-rollouts-start.h"
#include "gateway/rollouts/api-rollouts.h"
#include "gateway/sessions/api-certificates.h"
#include "gateway/sessions/api-grants.h"
#include "gateway/sessions/operators.h"
#include "gateway/sign-in/api-sign-in.h"
#include "gateway/webhooks/api-webhooks.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define HEADER_MAX (1024 * 1024)

static const Route *const tables[] = {
    audit_routes,      box_event_routes,       box_routes,           certificate_routes,
    claim_routes,      community_routes,       device_routes,        enrolment_routes,
    grant_routes,      deployment_routes,      health_routes,        import_routes,
    metrics_routes,    operator_routes,        pass_routes,          photo_routes,
    query_routes,      rollout_routes,         rollout_start_routes, template_routes,
    webhook_routes,    lan_certificate_routes, camera_routes,        bundle_routes,
    recording_routes,  box_recording_routes,   camera_ticket_routes, media_revocation_routes,
    trust_root_routes, approval_routes,        sign_in_routes,       bundle_key_routes,
    face_routes,
};

static void test_what_each_role_may(void **state _unused_)
{
    /* has, needed: in the order of the roles */
    static const bool may[_ROLE_OPERATOR_MAX][_ROLE_OPERATOR_MAX] = {
        { true, true, true, true, true },    { false, true, true, true, true },    { false, false, true, false, true },
        { false, false, false, true, true }, { false, false, false, false, true },
    };

    for (OperatorRole has = ROLE_ADMIN; has <= ROLE_VIEWER; has++)
        for (OperatorRole needed = ROLE_ADMIN; needed <= ROLE_VIEWER; needed++) {
            Error err = {};
            int r = operator_role_check("carol", has, needed, &err);

            assert_int_equal(r, may[has][needed] ? 0 : -EACCES);
            if (r < 0) {
                assert_string_equal(error_id(&err), "auth.role");
                assert_non_null(strstr(err.message, operator_role_to_string(needed)));
                assert_non_null(strstr(err.message, "carol has the role"));
            }
            error_done(&err);
        }
}

static void test_names(void **state _unused_)
{
    OperatorRole role;

    for (OperatorRole i = ROLE_ADMIN; i <= ROLE_VIEWER; i++) {
        assert_int_equal(operator_role_parse(operator_role_to_string(i), &role), 0);
        assert_int_equal(role, i);
    }
    assert_int_equal(operator_role_parse("root", &role), -EINVAL);
    assert_int_equal(operator_role_parse(NULL, &role), -EINVAL);
    assert_int_equal(operator_role_parse("Admin", &role), -EINVAL);
}

static void test_a_bound_role_is_none_to_who_knows_no_labels(void **state _unused_)
{
    OperatorRole role;
    bool bound;

    assert_int_equal(operator_role_read("operator", &role, &bound), 0);
    assert_true(role == ROLE_OPERATOR && !bound);
    assert_int_equal(operator_role_read("bound:viewer", &role, &bound), 0);
    assert_true(role == ROLE_VIEWER && bound);
    assert_int_equal(operator_role_parse("bound:viewer", &role), -EINVAL);
    assert_int_equal(operator_role_read("bound:bound:viewer", &role, &bound), -EINVAL);
    assert_int_equal(operator_role_read(NULL, &role, &bound), -EINVAL);
}

/* The tables above are all that the gateway's headers declare. */
static void test_no_table_is_left_out(void **state _unused_)
{
    static const char declaration[] = "extern const Route ";
    size_t n = 0;
    glob_t found;

    assert_int_equal(glob("gateway/*/*.h", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(file_read(found.gl_pathv[i], HEADER_MAX, &text, NULL, NULL), 0);
        for (const char *at = strstr(text, declaration); at; at = strstr(at + 1, declaration))
            n++;
    }
    globfree(&found);
    assert_int_equal(n, ELEMENTSOF(tables));
}

static bool is_among(const Route *r, const char *const *routes)
{
    _cleanup_(freep) char *text = str_format("%s %s", r->method, r->path);

    for (; *routes; routes++)
        if (str_equal(*routes, text))
            return true;
    return false;
}

/* Whoever only looks may GET all, and nothing that changes anything; what cannot be taken back, and where data
 * goes, is for admins. Who only deploys does not log in, and who only logs in does not deploy. */
static void test_what_each_route_needs(void **state _unused_)
{
    static const char *const for_operators[] = { "GET /v1/devices/*/recordings/*/*/*",
                                                 "GET /v1/devices/*/recordings/*/events/*", NULL };
    static const char *const for_support[] = { "GET /v1/devices/*/bridge", "POST /v1/grants",
                                               "POST /v1/grants/*/revoke", "POST /v1/grants/*/certificate", NULL };
    static const char *const for_deploy[] = { "POST /v1/devices/*/compose-snapshot",
                                              "POST /v1/devices/*/rollback",
                                              "POST /v1/devices/*/agent-update",
                                              "POST /v1/devices/*/release",
                                              "DELETE /v1/devices/*/waiting",
                                              "POST /v1/devices/*/projects/*",
                                              "POST /v1/devices/*/plan",
                                              "PUT /v1/bundles/*",
                                              "POST /v1/bundles/*/keys",
                                              "PUT /v1/templates/*",
                                              "DELETE /v1/templates/*",
                                              "POST /v1/rollouts",
                                              "POST /v1/rollouts/*/pause",
                                              "POST /v1/rollouts/*/resume",
                                              "POST /v1/rollouts/*/abort",
                                              NULL };
    /* questions that take a body, and the end of one's own sign-in */
    static const char *const for_viewers[] = { "POST /v1/devices/*/doctor", "DELETE /v1/sign-in", NULL };
    static const char *const for_strangers[] = { "GET /v1/sign-in", "POST /v1/sign-in", NULL };
    /* a browser has no token for what an <img> shows */
    static const char *const by_tickets[] = { "GET /v1/devices/*/cameras/*/frame.jpg",
                                              "GET /v1/devices/*/cameras/*/stream.mjpeg", NULL };
    static const char *const for_admins[] = { "DELETE /v1/devices/*",
                                              "DELETE /v1/devices/*/keys/*",
                                              "DELETE /v1/communities/*",
                                              "PUT /v1/communities/*/webhook",
                                              "DELETE /v1/communities/*/webhook",
                                              "POST /v1/trust/roots",
                                              NULL };
    size_t admins = 0, viewers = 0, some = 0;

    for (size_t t = 0; t < ELEMENTSOF(tables); t++)
        for (const Route *r = tables[t]; r->path; r++) {
            if (!str_starts(r->path, "/v1/") || is_among(r, for_strangers)) {
                assert_int_equal(r->access, ACCESS_ANYONE); /* boxes, and metrics with a token of their own */
                continue;
            }
            if (is_among(r, for_admins)) {
                assert_int_equal(r->access, ACCESS_ADMIN);
                admins++;
            } else if (is_among(r, for_support) || is_among(r, for_deploy)) {
                assert_int_equal(r->access, is_among(r, for_support) ? ACCESS_SUPPORT : ACCESS_DEPLOY);
                some++;
            } else if (is_among(r, by_tickets)) {
                assert_int_equal(r->access, ACCESS_TICKET);
            } else if (is_among(r, for_viewers) || (str_equal(r->method, "GET") && !is_among(r, for_operators))) {
                assert_int_equal(r->access, ACCESS_VIEWER);
                viewers++;
            } else {
                assert_int_equal(r->access, ACCESS_OPERATOR);
            }
        }
    assert_int_equal(admins, ELEMENTSOF(for_admins) - 1);
    assert_int_equal(some, ELEMENTSOF(for_support) + ELEMENTSOF(for_deploy) - 2);
    assert_true(viewers > 20);
}

/* What a token with labels may ask: all that the table names is a route, and no route about the fleet is in it. */
static void test_what_labels_reach(void **state _unused_)
{
    static const char *const about_all[] = {
        "POST /v1/devices",        "PATCH /v1/devices/*",
        "GET /v1/enrolments",      "POST /v1/enrolments",
        "GET /v1/pending-devices", "GET /v1/templates",
        "PUT /v1/templates/*",     "GET /v1/communities",
        "PUT /v1/communities/*",   NULL,
    };
    size_t listed = 0, found = 0, refused = 0;

    while (label_scope_listed(listed))
        listed++;
    for (size_t t = 0; t < ELEMENTSOF(tables); t++)
        for (const Route *r = tables[t]; r->path; r++) {
            LabelScope scope = label_scope(r->method, r->path);

            if (is_among(r, about_all)) {
                assert_int_equal(scope, SCOPE_FLEET);
                refused++;
            }
            found += scope != SCOPE_FLEET;
            if (scope == SCOPE_DEVICE)
                assert_true(str_starts(r->path, "/v1/devices/*"));
            if (str_starts(r->path, "/v1/communities") || !str_starts(r->path, "/v1/"))
                assert_int_equal(scope, SCOPE_FLEET);
        }
    assert_int_equal(found, listed);
    assert_int_equal(refused, ELEMENTSOF(about_all) - 1);
    assert_int_equal(label_scope("GET", "/v1/new"), SCOPE_FLEET);
    assert_int_equal(label_scope("GET", "/v1/devices/*/block"), SCOPE_FLEET);
    assert_int_equal(label_scope("DELETE", "/v1/devices"), SCOPE_FLEET);
}

/* What waits for a second person where the fleet wants one. */
static void test_what_a_second_person_looks_at(void **state _unused_)
{
    static const char glass[] = "{\"device\":\"x\",\"breakGlass\":true}", plain[] = "{\"device\":\"x\"}";
    static const char *const expected[] = { "POST /v1/devices",
                                            "POST /v1/devices/*/bootstrap",
                                            "POST /v1/enrolments",
                                            "POST /v1/devices/*/block",
                                            "POST /v1/grants",
                                            "POST /v1/rollouts",
                                            NULL };
    size_t found = 0;

    for (size_t t = 0; t < ELEMENTSOF(tables); t++)
        for (const Route *r = tables[t]; r->path; r++) {
            const char *action = approval_action(r, glass, strlen(glass));

            assert_int_equal(action != NULL, is_among(r, expected));
            found += action != NULL;
            if (str_equal(r->path, "/v1/grants")) {
                assert_null(approval_action(r, plain, strlen(plain)));
                assert_null(approval_action(r, "nonsense", 8));
                assert_null(approval_action(r, "", 0));
            }
        }
    assert_int_equal(found, ELEMENTSOF(expected) - 1);
}

static void test_a_rollout_is_narrowed(void **state _unused_)
{
    _cleanup_(cJSON_Deletep) cJSON *labels = cJSON_CreateObject(), *others = cJSON_CreateObject();
    Error err = {};

    assert_int_equal(json_add_string(labels, "kind", "gate"), 0);
    assert_int_equal(label_scope_narrow(NULL, labels, &err), 0);
    assert_int_equal(cJSON_GetArraySize(labels), 1);
    assert_int_equal(label_scope_narrow("{\"site\":\"north\",\"kind\":\"gate\"}", labels, &err), 0);
    assert_int_equal(cJSON_GetArraySize(labels), 2);
    assert_string_equal(json_string(labels, "site"), "north");
    assert_int_equal(json_add_string(others, "site", "south"), 0);
    assert_int_equal(label_scope_narrow("{\"site\":\"north\"}", others, &err), -EACCES);
    assert_string_equal(error_id(&err), "auth.labels");
    assert_string_equal(json_string(others, "site"), "south");
    error_done(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_each_role_may),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_bound_role_is_none_to_who_knows_no_labels),
        cmocka_unit_test(test_what_labels_reach),
        cmocka_unit_test(test_what_a_second_person_looks_at),
        cmocka_unit_test(test_a_rollout_is_narrowed),
        cmocka_unit_test(test_no_table_is_left_out),
        cmocka_unit_test(test_what_each_route_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

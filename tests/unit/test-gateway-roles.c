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
#include "gateway/communities/media-revocations.h"
#include "gateway/communities/photos.h"
#include "gateway/deployments/api-deployments.h"
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
#include "gateway/rollouts/api-rollouts-start.h"
#include "gateway/rollouts/api-rollouts.h"
#include "gateway/sessions/api-certificates.h"
#include "gateway/sessions/api-grants.h"
#include "gateway/sessions/operators.h"
#include "gateway/webhooks/api-webhooks.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define HEADER_MAX (1024 * 1024)

static const Route *const tables[] = {
    audit_routes,     box_event_routes,       box_routes,           certificate_routes,
    claim_routes,     community_routes,       device_routes,        enrolment_routes,
    grant_routes,     deployment_routes,      health_routes,        import_routes,
    metrics_routes,   operator_routes,        pass_routes,          photo_routes,
    query_routes,     rollout_routes,         rollout_start_routes, template_routes,
    webhook_routes,   lan_certificate_routes, camera_routes,        bundle_routes,
    recording_routes, box_recording_routes,   camera_ticket_routes, media_revocation_routes, trust_root_routes,
};

static void test_each_may_what_the_one_below_may(void **state _unused_)
{
    for (OperatorRole has = ROLE_ADMIN; has <= ROLE_VIEWER; has++)
        for (OperatorRole needed = ROLE_ADMIN; needed <= ROLE_VIEWER; needed++) {
            Error err = {};
            int r = operator_role_check("carol", has, needed, &err);

            assert_int_equal(r, has <= needed ? 0 : -EACCES);
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
 * goes, is for admins. */
static void test_what_each_route_needs(void **state _unused_)
{
    static const char *const for_operators[] = { "GET /v1/devices/*/bridge", "GET /v1/devices/*/recordings/*/*/*",
                                                 "GET /v1/devices/*/recordings/*/events/*", NULL };
    /* questions that take a body */
    static const char *const for_viewers[] = { "POST /v1/devices/*/doctor", NULL };
    /* a browser has no token for what an <img> shows */
    static const char *const by_tickets[] = { "GET /v1/devices/*/cameras/*/frame.jpg",
                                              "GET /v1/devices/*/cameras/*/stream.mjpeg", NULL };
    static const char *const for_admins[] = {
        "DELETE /v1/devices/*",          "DELETE /v1/devices/*/keys/*",      "DELETE /v1/communities/*",
        "PUT /v1/communities/*/webhook", "DELETE /v1/communities/*/webhook", "POST /v1/trust/roots", NULL
    };
    size_t admins = 0, viewers = 0;

    for (size_t t = 0; t < ELEMENTSOF(tables); t++)
        for (const Route *r = tables[t]; r->path; r++) {
            if (!str_starts(r->path, "/v1/")) {
                assert_int_equal(r->access, ACCESS_ANYONE); /* boxes, and metrics with a token of their own */
                continue;
            }
            if (is_among(r, for_admins)) {
                assert_int_equal(r->access, ACCESS_ADMIN);
                admins++;
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
    assert_true(viewers > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_may_what_the_one_below_may),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_table_is_left_out),
        cmocka_unit_test(test_what_each_route_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

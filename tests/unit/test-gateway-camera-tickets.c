/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cameras/camera-tickets.h"
#include "lib/base/strv.h"

#define NOW (5 * USEC_PER_HOUR)
#define TOKEN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char *issue(CameraTickets *t, const char *token, usec_t now)
{
    _cleanup_(error_done) Error err = {};
    char *text = NULL;

    if (camera_tickets_issue(t, "caseta", "entrada", token, now, &text, &err) < 0)
        assert_string_equal(error_id(&err), "camera.tickets");
    return text;
}

static bool is_good(CameraTickets *t, const char *text, const char *device, const char *camera, bool once, usec_t now)
{
    _cleanup_(error_done) Error err = {};
    char hash[SECRET_HASH_SIZE] = "";
    int r = camera_tickets_take(t, text, device, camera, once, now, hash, &err);

    if (r < 0) {
        assert_int_equal(r, -EKEYREJECTED);
        assert_string_equal(error_id(&err), "camera.ticket");
        return false;
    }
    assert_string_equal(hash, TOKEN);
    return true;
}

static void test_stands_for_a_token(void **state _unused_)
{
    _cleanup_(camera_tickets_freep) CameraTickets *t = camera_tickets_new();
    _cleanup_(secret_freep) char *text = issue(t, TOKEN, NOW), *other = issue(t, TOKEN, NOW);

    assert_true(str_starts(text, CAMERA_TICKET_PREFIX));
    assert_string_not_equal(text, other);
    assert_false(is_good(t, text, "caseta", "garagem", true, NOW));
    assert_false(is_good(t, text, "caseta2", "entrada", true, NOW));
    assert_false(is_good(t, "sbv_", "caseta", "entrada", true, NOW));
    assert_false(is_good(t, "", "caseta", "entrada", true, NOW));
    assert_true(is_good(t, text, "caseta", "entrada", false, NOW));
    assert_true(is_good(t, text, "caseta", "entrada", false, NOW));
    assert_true(is_good(t, text, "caseta", "entrada", true, NOW));
    assert_false(is_good(t, text, "caseta", "entrada", true, NOW));
    assert_false(is_good(t, text, "caseta", "entrada", false, NOW));
    assert_true(is_good(t, other, "caseta", "entrada", true, NOW));
}

static void test_ends(void **state _unused_)
{
    _cleanup_(camera_tickets_freep) CameraTickets *t = camera_tickets_new();
    _cleanup_(secret_freep) char *text = issue(t, TOKEN, NOW);
    usec_t ends = NOW + CAMERA_TICKET_SECONDS * USEC_PER_SEC;

    assert_true(is_good(t, text, "caseta", "entrada", false, ends - 1));
    assert_false(is_good(t, text, "caseta", "entrada", false, ends));
}

static void test_one_who_asks_for_ever_is_stopped(void **state _unused_)
{
    _cleanup_(camera_tickets_freep) CameraTickets *t = camera_tickets_new();
    usec_t later = NOW + CAMERA_TICKET_SECONDS * USEC_PER_SEC;
    char *text;
    size_t n = 0;

    while ((text = issue(t, OTHER, NOW))) {
        secret_free(text);
        n++;
    }
    assert_int_equal(n, 256);
    text = issue(t, TOKEN, NOW);
    assert_non_null(text);
    secret_free(text);
    text = issue(t, OTHER, later);
    assert_non_null(text);
    secret_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stands_for_a_token),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_one_who_asks_for_ever_is_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

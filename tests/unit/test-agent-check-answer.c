/* SPDX-License-Identifier: MIT */
/* What the parent takes of the answers of the child that has read the network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mgmt-agent/worker/jobs/check-answer.h"

#define D16 "0123456789abcdef"
#define HEX D16 D16 D16 D16
#define DIGEST "\"sha256:" HEX "\""
#define NEW(more)                                                                                                      \
    "{\"state\":\"new\",\"digest\":" DIGEST ",\"platformDigest\":" DIGEST ",\"newImageId\":\"" HEX "\"" more "}"
#define FAILURE "\"error\":{\"id\":\"registry.offline\",\"message\":\"m\"}"

/* NULL when it is refused */
static char *take(const char *image, const char *said)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(cJSON_Deletep) cJSON *s = cJSON_Parse(said);

    assert_non_null(s);
    assert_int_equal(json_add_string(o, "image", image), 0);
    return check_take_answer(o, s) < 0 ? NULL : json_print(o);
}

static void test_taken(void **state)
{
    static const struct {
        const char *said, *is;
    } cases[] = {
        { "{\"state\":\"current\",\"digest\":" DIGEST "}", "\"state\":\"current\",\"digest\":" DIGEST },
        { NEW(""), "\"state\":\"new\",\"digest\":" DIGEST ",\"reference\":\"r.example/a@sha256:" HEX
                   "\",\"platformDigest\":" DIGEST ",\"newImageId\":\"" HEX "\"" },
        { "{\"state\":\"pinned\"}", "\"state\":\"pinned\"" },
        { "{\"state\":\"local\"}", "\"state\":\"local\"" },
        { "{\"state\":\"unknown\",\"later\":true,\"retryAfterSeconds\":7," FAILURE "}",
          "\"state\":\"unknown\",\"retryAfterSeconds\":7,\"later\":true," FAILURE },
        { "{\"state\":\"unknown\"," FAILURE "}", "\"state\":\"unknown\",\"later\":false," FAILURE },
        /* nothing else goes on: no other name, no other place */
        { NEW(",\"reference\":\"evil.example/a@" HEX "\",\"here\":true,\"service\":\"db\",\"image\":\"evil\""),
          "\"state\":\"new\",\"digest\":" DIGEST ",\"reference\":\"r.example/a@sha256:" HEX
          "\",\"platformDigest\":" DIGEST ",\"newImageId\":\"" HEX "\"" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(freep) char *got = take("r.example/a:1", cases[i].said);
        char wanted[1024];

        assert_non_null(got);
        snprintf(wanted, sizeof(wanted), "{\"image\":\"r.example/a:1\",%s}", cases[i].is);
        assert_string_equal(got, wanted);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "{}",
        "[]",
        "{\"state\":\"newer\"}",
        "{\"state\":1}",
        "{\"state\":\"current\"}",
        "{\"state\":\"current\",\"digest\":\"sha256:" D16 "\"}",
        "{\"state\":\"new\",\"digest\":" DIGEST "}",
        "{\"state\":\"new\",\"digest\":" DIGEST ",\"platformDigest\":" DIGEST ",\"newImageId\":\"../" D16 "\"}",
        "{\"state\":\"new\",\"digest\":" DIGEST ",\"platformDigest\":\"x\",\"newImageId\":\"" HEX "\"}",
        "{\"state\":\"unknown\"}",
        "{\"state\":\"unknown\",\"retryAfterSeconds\":\"99999999999\"," FAILURE "}",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(freep) char *got = take("r.example/a:1", cases[i]);

        if (got)
            fail_msg("taken: %s", cases[i]);
    }
    /* a name that cannot be asked has no answer */
    assert_null(take("short", NEW("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests_name("agent-check", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Which events matter more, and which are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/data/json.h"
#include "secbox/queue/queue-rules.h"

static void test_priorities(void **state)
{
    static const struct {
        const char *kind;
        QueuePriority priority;
    } cases[] = {
        { "visit.entry", QUEUE_ENTRIES },   { "visit.exit", QUEUE_ENTRIES },  { "guest.used", QUEUE_ENTRIES },
        { "shift.note", QUEUE_ENTRIES },    { "plate.match", QUEUE_MATCHES }, { "face.match", QUEUE_MATCHES },
        { "shift.start", QUEUE_ENTRIES },   { "shift.end", QUEUE_ENTRIES },   { "motion.clip", QUEUE_MOTION },
        { "of.the-future", QUEUE_MATCHES },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(queue_priority(cases[i].kind), cases[i].priority);
}

static int check(const char *kind, const char *data)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error err = {};

    assert_int_equal(json_parse(data, strlen(data), &o, NULL), 0);
    int r = queue_check_event(kind, o, &err);
    assert_true(r == 0 || strcmp(error_id(&err), "queue.bad-event") == 0);
    return r;
}

static void test_what_an_event_must_be(void **state)
{
    (void) state;
    assert_int_equal(check("visit.entry", "{\"plate\":\"ABC\"}"), 0);
    assert_int_equal(check("visit.exit", "{\"visit\":\"018f3a52-7c11-7d3e-9a45-2f60c1d8e001\"}"), 0);
    assert_true(check("visit.exit", "{}") < 0);
    assert_true(check("visit.exit", "{\"visit\":\"018F3A52-7c11-7d3e-9a45-2f60c1d8e001\"}") < 0);
    assert_true(check("guest.used", "{\"guest\":7}") < 0);
    assert_true(check("motion.clip", "[]") < 0);
    assert_true(check("", "{}") < 0);
    assert_true(check("Motion", "{}") < 0);
    assert_true(check("a b", "{}") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_what_an_event_must_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

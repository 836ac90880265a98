/* SPDX-License-Identifier: MIT */
/* Which events matter more, which are none, and what of secbox's values is a fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/health/data-faults.h"
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

/* Of the values that health is about; ids with commas between, in the table's order. */
static void assert_faults(const char *values, uint64_t old_seconds, const char *expected)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL, *faults = NULL;
    _cleanup_(strv_freep) char **ids = NULL;
    _cleanup_(freep) char *list = NULL;
    const cJSON *fault;

    assert_int_equal(json_parse(values, strlen(values), &o, NULL), 0);
    faults = data_faults(o, old_seconds);
    assert_non_null(faults);
    cJSON_ArrayForEach(fault, faults) {
        assert_true(strlen(fault->valuestring) > 10);
        assert_int_equal(strv_add(&ids, fault->string), 0);
    }
    list = ids ? strv_join(ids, ",") : strdup("");
    assert_string_equal(list, expected);
}

#define OFFLINE "\"cameras\":[{\"name\":\"a\",\"state\":\"offline\"},{\"name\":\"b\",\"state\":\"online\"}]"

static void test_what_is_a_fault(void **state)
{
    (void) state;
    assert_faults("{}", 3600, "");
    assert_faults("{\"replica\":{\"ageSeconds\":3599}}", 3600, "");
    assert_faults("{\"replica\":{\"ageSeconds\":3600}}", 3600, "data.old");
    assert_faults("{\"replica\":{\"ageSeconds\":3600}}", 86400, "");
    assert_faults("{\"queue\":{\"dead\":1},\"lan\":{\"serving\":true}}", 86400, "queue.dead");
    assert_faults("{\"lan\":{\"serving\":false}}", 86400, "lan.down");
    assert_faults("{\"lan\":{\"serving\":true,\"certificateDays\":14}}", 86400, "");
    assert_faults("{\"lan\":{\"serving\":true,\"certificateDays\":13}}", 86400, "certificate.ends");
    assert_faults("{\"lan\":{\"serving\":true,\"certificateDays\":-1}}", 86400, "certificate.ends");
    assert_faults("{\"cameras\":{\"frigate\":\"up\"," OFFLINE "}}", 86400, "cameras.offline");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"unheard\":true," OFFLINE "}}", 86400,
                  "cameras.offline,cameras.unheard");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"entry\":\"b\"," OFFLINE "}}", 86400, "cameras.offline");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"entry\":\"c\"," OFFLINE "}}", 86400,
                  "cameras.offline,cameras.entry");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"entry\":\"c\",\"cameras\":[]}}", 86400, "cameras.entry");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"faces\":{\"state\":\"current\",\"wanted\":2}}}", 86400, "");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"faces\":{\"state\":\"current\",\"refused\":1}}}", 86400,
                  "cameras.faces");
    assert_faults("{\"cameras\":{\"frigate\":\"up\",\"faces\":{\"state\":\"off\"}}}", 86400, "cameras.faces");
    assert_faults("{\"cameras\":{\"frigate\":\"away\",\"faces\":{\"state\":\"fails\"}}}", 86400, "cameras.frigate");
    /* what was said of cameras is old then */
    assert_faults("{\"cameras\":{\"frigate\":\"away\",\"unheard\":true," OFFLINE "}}", 86400, "cameras.frigate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_what_an_event_must_be),
        cmocka_unit_test(test_what_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

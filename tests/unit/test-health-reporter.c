/* SPDX-License-Identifier: MIT */
/* The box's end of health.report, against a gateway that this test plays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json-merge.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/health-reporter.h"
#include "lib/tunnel/message.h"

/* a look every 30 ms, a report every 60 ms */
#define PACE 1000
/* minutes only for a report that never comes */
#define PATIENCE (2 * USEC_PER_MINUTE)

typedef struct Peer {
    sd_event *event;
    sd_event_source *timer;
    HealthReporter *reporter;
    cJSON *values;  /* what the box has */
    cJSON *message; /* the last report */
    unsigned reports;
    bool refuses;
} Peer;

static cJSON *gather(void *userdata)
{
    Peer *p = userdata;

    return cJSON_Duplicate(p->values, true);
}

static int take(const cJSON *message, void *userdata)
{
    Peer *p = userdata;
    _cleanup_(freep) char *text = json_print(message);
    _cleanup_(cJSON_Deletep) cJSON *checked = NULL;

    assert_int_equal(message_parse(text, strlen(text), SENDER_BOX, &checked, NULL, NULL), 0);
    if (p->refuses)
        return -ENOTCONN;
    cJSON_Delete(p->message);
    p->message = cJSON_Duplicate(message, true);
    p->reports++;
    return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void) source;
    (void) usec;
    (void) userdata;
    fail_msg("no report came");
    return 0;
}

static void set_values(Peer *p, const char *text)
{
    cJSON_Delete(p->values);
    p->values = NULL;
    assert_int_equal(json_parse_object(text, strlen(text), &p->values, NULL), 0);
}

static void begin(Peer *p, const char *values)
{
    static const HealthReporterEvents events = { gather, take };

    *p = (Peer) {};
    set_values(p, values);
    assert_true(sd_event_new(&p->event) >= 0);
    assert_int_equal(health_reporter_new(p->event, PACE, &events, p, &p->reporter), 0);
    assert_true(timer_arm(p->event, &p->timer, PATIENCE, on_patience, p) >= 0);
}

static void end(Peer *p)
{
    health_reporter_free(p->reporter);
    sd_event_source_disable_unref(p->timer);
    sd_event_unref(p->event);
    cJSON_Delete(p->values);
    cJSON_Delete(p->message);
}

/* Lets the loop turn until there are so many reports. */
static void wait_reports(Peer *p, unsigned n)
{
    while (p->reports < n)
        assert_true(sd_event_run(p->event, UINT64_MAX) >= 0);
}

static void wait_looked(Peer *p)
{
    while (!health_reporter_values(p->reporter))
        assert_true(sd_event_run(p->event, UINT64_MAX) >= 0);
}

static void acknowledge(Peer *p, const char *seq)
{
    _cleanup_(cJSON_Deletep) cJSON *ack = message_new("health.ack");

    assert_int_equal(json_add_string(ack, "seq", seq), 0);
    health_reporter_take_ack(p->reporter, ack);
}

/* The report behind the one that is acknowledged now: one may be due at this very moment. */
static void acknowledge_and_wait(Peer *p)
{
    _cleanup_(freep) char *seq = strdup(json_string(p->message, "seq"));
    unsigned before = p->reports;

    acknowledge(p, seq);
    wait_reports(p, before + 1);
}

static void check_report(const Peer *p, const char *seq, const char *base, const char *values)
{
    _cleanup_(freep) char *text = json_print_canonical(cJSON_GetObjectItemCaseSensitive(p->message, "values"));

    assert_string_equal(json_string(p->message, "seq"), seq);
    assert_true(str_equal(json_string(p->message, "base"), base));
    assert_string_equal(text, values);
}

static void test_all_then_differences(void **state)
{
    Peer p;

    (void) state;
    begin(&p, "{\"a\":1,\"b\":{\"c\":2},\"faults\":{}}");
    wait_looked(&p);
    assert_int_equal(p.reports, 0); /* nobody is there */
    health_reporter_connected(p.reporter);
    wait_reports(&p, 1);
    check_report(&p, "1", NULL, "{\"a\":1,\"b\":{\"c\":2},\"faults\":{}}");
    set_values(&p, "{\"b\":{\"c\":3},\"faults\":{}}");
    acknowledge(&p, "1");
    wait_reports(&p, 2);
    /* one that was due at the moment of the answer still has the old values */
    while (!cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(p.message, "values"), "b"))
        acknowledge_and_wait(&p);
    _cleanup_(freep) char *seq = strdup(json_string(p.message, "seq"));
    _cleanup_(freep) char *base = str_format("%d", (int) p.reports - 1);
    check_report(&p, seq, base, "{\"a\":null,\"b\":{\"c\":3}}");
    end(&p);
}

/* One without an answer is told anew, as a whole: so is a gateway that does not know these messages. */
static void test_silence(void **state)
{
    Peer p;

    (void) state;
    begin(&p, "{\"a\":1,\"faults\":{}}");
    health_reporter_connected(p.reporter);
    wait_reports(&p, 1);
    acknowledge(&p, "99"); /* no answer to anything */
    wait_reports(&p, 3);
    check_report(&p, "3", NULL, "{\"a\":1,\"faults\":{}}");
    end(&p);
}

static void test_gateway_has_lost_them(void **state)
{
    Peer p;

    (void) state;
    begin(&p, "{\"a\":1,\"faults\":{}}");
    health_reporter_connected(p.reporter);
    wait_reports(&p, 1);
    acknowledge_and_wait(&p);
    check_report(&p, "2", "1", "{}");
    acknowledge(&p, "0");
    while (json_string(p.message, "base"))
        wait_reports(&p, p.reports + 1);
    _cleanup_(freep) char *seq = str_format("%u", p.reports);
    check_report(&p, seq, NULL, "{\"a\":1,\"faults\":{}}");
    end(&p);
}

static void test_a_new_connection_knows_nothing(void **state)
{
    Peer p;

    (void) state;
    begin(&p, "{\"a\":1,\"faults\":{}}");
    health_reporter_connected(p.reporter);
    wait_reports(&p, 1);
    acknowledge(&p, "1"); /* one that was due by now has gone to the old connection */
    unsigned before = p.reports;
    health_reporter_disconnected(p.reporter);
    health_reporter_connected(p.reporter);
    wait_reports(&p, before + 1);
    assert_null(json_string(p.message, "base"));
    before = p.reports;
    acknowledge(&p, "1"); /* late, from the connection before: it is about nothing that is under way */
    wait_reports(&p, before + 1);
    _cleanup_(freep) char *seq = str_format("%u", p.reports);
    check_report(&p, seq, NULL, "{\"a\":1,\"faults\":{}}");
    end(&p);
}

static void test_what_cannot_be_sent_is_sent_later(void **state)
{
    Peer p;

    (void) state;
    begin(&p, "{\"a\":1,\"faults\":{}}");
    wait_looked(&p);
    p.refuses = true;
    health_reporter_connected(p.reporter);
    assert_true(sd_event_run(p.event, UINT64_MAX) >= 0);
    assert_int_equal(p.reports, 0);
    p.refuses = false;
    wait_reports(&p, 1);
    assert_null(json_string(p.message, "base"));
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_then_differences),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_gateway_has_lost_them),
        cmocka_unit_test(test_a_new_connection_knows_nothing),
        cmocka_unit_test(test_what_cannot_be_sent_is_sent_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Streams over one connection: opening, flow control, ends, and who sends next. */
#include "tests/unit/mux-pair.h"

#include "lib/base/strv.h"
#include "lib/data/json.h"

static void test_hello(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    pair_open(&p, &here, &there);
    assert_non_null(strstr(p.box.open, "\"target\":\"ssh\""));
    assert_non_null(strstr(p.box.open, "\"window\":262144"));
    assert_int_equal(mux_streams(p.box.mux), 1);

    assert_int_equal(mux_stream_write(there.stream, "SSH-2.0", 7), 7);
    assert_int_equal(mux_stream_write(here.stream, "hello", 5), 5);
    pair_run(&p);
    assert_string_equal(here.in.data, "SSH-2.0");
    assert_string_equal(there.in.data, "hello");
    assert_int_equal(mux_stream_received(there.stream), 5);

    mux_stream_finish(here.stream);
    pair_run(&p);
    assert_int_equal(there.ended, 1);
    assert_int_equal(here.ended + here.closed + there.closed, 0);
    assert_int_equal(mux_stream_write(there.stream, "!", 1), 1);
    mux_stream_finish(there.stream);
    pair_run(&p);
    assert_string_equal(here.in.data, "SSH-2.0!");
    assert_int_equal(here.closed, 1);
    assert_int_equal(there.closed, 1);
    assert_string_equal(here.reason, "");
    assert_string_equal(there.reason, "");
    assert_int_equal(mux_streams(p.box.mux) + mux_streams(p.gateway.mux), 0);
    user_done(&here);
    user_done(&there);
    pair_done(&p);
}

static void refused(Pair *p, End *by, const char *reason)
{
    User u;
    user_init(&u);
    Mux *m = by == &p->box ? p->gateway.mux : p->box.mux;
    assert_int_equal(mux_open(m, NULL, &user_events, &u, &u.stream), 0);
    pair_run(p);
    assert_int_equal(u.closed, 1);
    assert_int_equal(u.accepted, 0);
    assert_string_equal(u.reason, reason);
    user_done(&u);
}

static void test_refusals(void **state _unused_)
{
    Pair p;
    User here, there;
    pair_init(&p);
    p.box.refuse = "bridge.busy";
    refused(&p, &p.box, "bridge.busy");
    p.box.refuse = "caf\xc3\xa9\n";
    refused(&p, &p.box, "caf???");
    p.box.refuse = "";
    refused(&p, &p.box, "stream.reset");
    p.box.refuse = NULL;
    pair_open(&p, &here, &there);

    mux_go_away(p.box.mux);
    mux_go_away(p.box.mux);
    MuxStream *s;
    assert_int_equal(mux_open(p.box.mux, NULL, &user_events, NULL, &s), -ENOTCONN);
    refused(&p, &p.box, "stream.going-away");
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, NULL, &s), -ENOTCONN);
    /* those that are open go on, also over a reconnect, where it is said again */
    pair_cut(&p);
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(mux_open(p.gateway.mux, NULL, &user_events, NULL, &s), -ENOTCONN);
    assert_int_equal(mux_stream_write(here.stream, "x", 1), 1);
    pair_run(&p);
    assert_string_equal(there.in.data, "x");
    user_done(&here);
    user_done(&there);
    pair_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

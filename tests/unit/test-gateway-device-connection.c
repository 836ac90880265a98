/* SPDX-License-Identifier: MIT */
/* The boxes' tunnels in the gateway: which one counts, who hears what, and what a box may say; without a database. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "gateway/devices/device-connection-impl.h"
#include "gateway/devices/device-messages.h"
#include "gateway/store/schema.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/websocket/connection-impl.h"

#define STATUS(device, more) "{\"type\":\"agent.status\",\"deviceId\":\"" device "\",\"state\":\"idle\"" more "}"
#define BAD_MESSAGES_MAX 16

typedef struct World {
    sd_event *event;
    Store *store;
    DeviceConns *conns;
    int peers[8]; /* the boxes' ends */
    size_t n_peers;
    char heard[256]; /* what the listeners were told, in order */
} World;

typedef struct Ear {
    World *world;
    const char *name;
    bool busy;
} Ear;

static void hear(Ear *ear, const char *what)
{
    World *w = ear->world;
    size_t len = strlen(w->heard);
    snprintf(w->heard + len, sizeof(w->heard) - len, "%s:%s ", ear->name, what);
}

static void expect_heard(World *w, const char *text)
{
    assert_string_equal(w->heard, text);
    w->heard[0] = '\0';
}

static void on_message(DeviceConn *s _unused_, const cJSON *message, void *userdata)
{
    hear(userdata, json_string(message, "type"));
}

static void on_gone(DeviceConn *s, void *userdata)
{
    const Ear *ear = userdata;
    assert_ptr_not_equal(device_conn_find(ear->world->conns, s->device, s->role), s);
    hear(userdata, role_name(s->role));
}

static void on_key_replaced(const char *device, Role role, void *userdata)
{
    const Ear *ear = userdata;
    assert_non_null(device_conn_find(ear->world->conns, device, role));
    hear(userdata, "key");
}

static void on_blocked(const char *device, void *userdata)
{
    hear(userdata, device);
}

static bool is_busy(const char *device, void *userdata)
{
    const Ear *ear = userdata;
    return ear->busy && str_equal(device, "casa");
}

static int describe(const char *device _unused_, cJSON *object, void *userdata)
{
    const Ear *ear = userdata;
    return json_add_bool(object, ear->name, true);
}

static size_t people(const char *device _unused_, void *userdata _unused_)
{
    return 2;
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_message },
    { "probe.answer", false, on_message },
    { "probe.request", true, on_message },
    {},
};

static const DeviceListener listener = {
    .messages = messages,
    .on_gone = on_gone,
    .on_key_replaced = on_key_replaced,
    .on_blocked = on_blocked,
    .is_busy = is_busy,
    .describe = describe,
    .people = people,
};

static const DeviceListener deaf = {};

static void on_down(Store *s _unused_, usec_t retry_in _unused_, const Error *err _unused_, void *userdata _unused_)
{
}

static int setup(void **state)
{
    static const StoreEvents events = { .on_down = on_down };
    World *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    assert_true(store_new(w->event, "host=/nonexistent", &gateway_schema, &events, w, &w->store, NULL) >= 0);
    w->conns = device_conns_new(w->event, w->store, NULL);
    assert_non_null(w->conns);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    device_conns_free(w->conns);
    store_free(w->store);
    for (size_t i = 0; i < w->n_peers; i++)
        close(w->peers[i]);
    sd_event_unref(w->event);
    free(w);
    return 0;
}

/* A tunnel whose hello has not come yet. The number of its other end is that of the connection. */
static DeviceConn *open_tunnel(World *w, const char *device, Role role)
{
    static const StreamEvents no_events = {};
    static const WsEvents no_ws_events = {};
    Stream *stream = NULL;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    DeviceConn *s = device_conn_new(w->conns, role, device);
    assert_non_null(s);
    assert_true(stream_accept(w->event, fds[0], NULL, &no_events, NULL, &stream) >= 0);
    assert_true(ws_conn_new(stream, WS_SERVER, &s->ws) >= 0);
    ws_conn_set_events(s->ws, &no_ws_events, NULL);
    w->peers[w->n_peers++] = fds[1];
    assert_int_equal(device_conn_number(s), w->n_peers);
    return s;
}

static DeviceConn *connect_tunnel(World *w, const char *device, Role role)
{
    DeviceConn *s = open_tunnel(w, device, role);
    assert_true(device_conn_register(s) >= 0);
    s->up = true;
    return s;
}

/* The box is told to close, with this code. */
static void expect_close(World *w, const DeviceConn *s, unsigned code)
{
    uint8_t frame[256];
    ssize_t n = recv(w->peers[s->number - 1], frame, sizeof(frame), MSG_DONTWAIT);
    assert_true(n >= 4);
    assert_int_equal(frame[0], 0x88);
    assert_int_equal((unsigned) frame[2] << 8 | frame[3], code);
}

static void expect_silence(World *w, const DeviceConn *s)
{
    uint8_t frame[256];
    assert_int_equal(recv(w->peers[s->number - 1], frame, sizeof(frame), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void say(DeviceConn *s, const char *text)
{
    device_conn_message(s, text, strlen(text));
}

static void test_the_newest_tunnel_counts(void **state)
{
    World *w = *state;
    Ear ear = { w, "a", false };
    assert_int_equal(device_conns_listen(w->conns, &listener, &ear), 0);
    DeviceConn *other = connect_tunnel(w, "casa", ROLE_DEVICE);
    DeviceConn *first = connect_tunnel(w, "casa", ROLE_MGMT);
    assert_ptr_equal(device_conn_find(w->conns, "casa", ROLE_MGMT), first);
    expect_heard(w, "");

    DeviceConn *second = connect_tunnel(w, "casa", ROLE_MGMT);
    assert_ptr_equal(device_conn_find(w->conns, "casa", ROLE_MGMT), second);
    assert_ptr_equal(device_conn_find(w->conns, "casa", ROLE_DEVICE), other);
    assert_null(device_conn_find(w->conns, "casa", ROLE_RECOVERY));
    assert_null(device_conn_find(w->conns, "cas", ROLE_MGMT));
    expect_heard(w, "a:mgmt ");
    expect_close(w, first, WS_CLOSE_GOING_AWAY);
    expect_silence(w, second);

    device_conn_withdraw(first); /* its end comes late, and takes nothing away from the newer one */
    expect_heard(w, "");
    device_conn_free(first);
    assert_ptr_equal(device_conn_find(w->conns, "casa", ROLE_MGMT), second);
    device_conn_withdraw(second);
    device_conn_withdraw(second);
    expect_heard(w, "a:mgmt ");
    assert_null(device_conn_find(w->conns, "casa", ROLE_MGMT));
}

static void test_who_hears_what(void **state)
{
    World *w = *state;
    Ear a = { w, "a", false }, b = { w, "b", false };
    assert_int_equal(device_conns_listen(w->conns, &listener, &a), 0);
    assert_int_equal(device_conns_listen(w->conns, &deaf, NULL), 0);
    assert_int_equal(device_conns_listen(w->conns, &listener, &b), 0);
    DeviceConn *mgmt = connect_tunnel(w, "casa", ROLE_MGMT), *device = connect_tunnel(w, "casa", ROLE_DEVICE);

    say(mgmt, STATUS("casa", ""));
    expect_heard(w, "a:agent.status b:agent.status ");
    say(mgmt, STATUS("casa2", ""));
    expect_heard(w, "");
    say(device, "{\"type\":\"probe.answer\",\"id\":\"1\"}");
    expect_heard(w, "a:probe.answer b:probe.answer ");
    say(device, "{\"type\":\"probe.request\",\"id\":\"1\"}"); /* which the listeners take from mgmt-agent alone */
    expect_heard(w, "");
    say(mgmt, "{\"type\":\"history.report\",\"id\":\"1\",\"entries\":[]}");
    expect_heard(w, "");
    assert_int_equal(mgmt->bad_messages, 0);
    assert_int_equal(device->bad_messages, 0);
}

static void test_bad_messages(void **state)
{
    World *w = *state;
    Ear ear = { w, "a", false };
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"type\":7}",
        "{\"type\":\"agent.status\"}",
        STATUS("casa", ""), /* only mgmt-agent may say it */
        "{\"type\":\"compose.snapshot\"}",
    };
    assert_int_equal(device_conns_listen(w->conns, &listener, &ear), 0);
    DeviceConn *s = connect_tunnel(w, "casa", ROLE_DEVICE);
    for (unsigned i = 0; i < BAD_MESSAGES_MAX - 1; i++) {
        say(s, bad[i % ELEMENTSOF(bad)]);
        say(s, "{\"type\":\"of.tomorrow\"}"); /* what only newer boxes know is no fault */
        assert_int_equal(s->bad_messages, i + 1);
    }
    expect_silence(w, s);
    expect_heard(w, "");
    assert_ptr_equal(device_conn_find(w->conns, "casa", ROLE_DEVICE), s);
    say(s, bad[0]);
    expect_close(w, s, WS_CLOSE_POLICY);
    expect_heard(w, "a:device ");
    assert_null(device_conn_find(w->conns, "casa", ROLE_DEVICE));
}

static void test_what_a_status_tells_of_the_agent(void **state)
{
    World *w = *state;
    DeviceConn *s = connect_tunnel(w, "casa", ROLE_MGMT);
    assert_false(device_conn_agent_spoke(s));
    say(s, STATUS("casa",
                  ",\"current\":{\"version\":\"7\"},\"last\":{\"version\":\"9\"},\"accepts\":[\"image.update\",7]"));
    assert_true(device_conn_agent_spoke(s));
    assert_true(device_conn_takes(s, ORDER_UPDATE));
    assert_false(device_conn_takes(s, ORDER_ROLLBACK));
    assert_false(device_conn_takes(s, ORDER_HALTED));
    assert_int_equal(device_conn_version_floor(s), 9);

    say(s, STATUS("casa", ",\"pending\":{\"version\":\"8\"},\"accepts\":[\"compose.rollback\",\"updates.halted\"]"));
    assert_false(device_conn_takes(s, ORDER_UPDATE));
    assert_true(device_conn_takes(s, ORDER_ROLLBACK));
    assert_true(device_conn_takes(s, ORDER_HALTED));
    assert_int_equal(device_conn_version_floor(s), 9);

    /* so high that the database could not count on */
    say(s, STATUS("casa", ",\"pending\":{\"version\":\"9223372036854775807\"},\"last\":{\"version\":\"local-1\"}"));
    assert_int_equal(device_conn_version_floor(s), 9);
    say(s, STATUS("casa", ",\"pending\":{\"version\":\"4611686018427387904\"}"));
    assert_true(device_conn_version_floor(s) == UINT64_C(1) << 62);
}

static void check_text(cJSON *object, const char *text)
{
    _cleanup_(freep) char *written = json_print(object);
    assert_string_equal(written, text);
}

static void test_what_is_known_of_a_box(void **state)
{
    World *w = *state;
    Ear a = { w, "a", false }, b = { w, "b", false };
    _cleanup_(cJSON_Deletep) cJSON *away = cJSON_CreateObject(), *here = cJSON_CreateObject();
    assert_int_equal(device_conns_people(w->conns, "casa"), 0);
    assert_int_equal(device_conns_listen(w->conns, &listener, &a), 0);
    assert_int_equal(device_conns_listen(w->conns, &deaf, NULL), 0);
    assert_int_equal(device_conns_listen(w->conns, &listener, &b), 0);
    assert_int_equal(device_conns_people(w->conns, "casa"), 4);
    assert_false(device_conns_is_busy(w->conns, "casa"));
    b.busy = true;
    assert_true(device_conns_is_busy(w->conns, "casa"));
    assert_false(device_conns_is_busy(w->conns, "casa2"));

    assert_int_equal(device_conns_describe(w->conns, "casa", away), 0);
    check_text(away, "{\"connected\":false,\"roles\":[],\"a\":true,\"b\":true}");
    (void) connect_tunnel(w, "casa", ROLE_RECOVERY);
    DeviceConn *s = connect_tunnel(w, "casa", ROLE_MGMT);
    s->agent_version = strdup("mgmt-link 1");
    assert_int_equal(device_conns_describe(w->conns, "casa", here), 0);
    assert_true(json_bool(here, "connected", false));
    assert_string_equal(json_string(here, "agentVersion"), "mgmt-link 1");
    check_text(cJSON_GetObjectItemCaseSensitive(here, "roles"), "[\"mgmt\",\"recovery\"]");
}

static void test_a_new_key(void **state)
{
    World *w = *state;
    Ear ear = { w, "a", false };
    assert_int_equal(device_conns_listen(w->conns, &listener, &ear), 0);
    DeviceConn *mgmt = connect_tunnel(w, "casa", ROLE_MGMT), *device = connect_tunnel(w, "casa", ROLE_DEVICE);
    device_conns_replace_key(w->conns, "casa", ROLE_MGMT);
    expect_heard(w, "a:key a:mgmt ");
    expect_close(w, mgmt, WS_CLOSE_POLICY);
    expect_silence(w, device);
}

static void test_a_blocked_box(void **state)
{
    World *w = *state;
    Ear ear = { w, "a", false };
    assert_int_equal(device_conns_listen(w->conns, &listener, &ear), 0);
    DeviceConn *mgmt = connect_tunnel(w, "casa", ROLE_MGMT), *other = connect_tunnel(w, "casa2", ROLE_MGMT);
    DeviceConn *early = open_tunnel(w, "casa", ROLE_DEVICE); /* no hello yet: nobody has heard of it */
    device_conns_block(w->conns, "casa");
    expect_heard(w, "a:casa a:mgmt ");
    expect_close(w, mgmt, WS_CLOSE_POLICY);
    expect_close(w, early, WS_CLOSE_POLICY);
    expect_silence(w, other);
    assert_null(device_conn_find(w->conns, "casa", ROLE_MGMT));
    assert_ptr_equal(device_conn_find(w->conns, "casa2", ROLE_MGMT), other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_newest_tunnel_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_hears_what, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_status_tells_of_the_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_known_of_a_box, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_blocked_box, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

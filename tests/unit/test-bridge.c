/* SPDX-License-Identifier: MIT */
/* The box's end of the bridge: targets on loopback, refusals, and the file that shows who is in. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/bridge.h"
#include "lib/tunnel/sessions-file.h"
#include "tests/unit/mux-carry.h"

typedef struct Guest {
    MuxStream *s;
    bool accepted, ended;
    char *reason, *heard;
} Guest;

typedef struct World {
    sd_event *event;
    sd_event_source *io;
    Mux *gateway, *box;
    Bridge *bridge;
    int listener, served[BRIDGE_SESSIONS_MAX + 1];
    unsigned n_served;
    char folder[32], *path;
    bool closed_house;
    Guest guests[BRIDGE_SESSIONS_MAX + 1];
} World;

static void on_accepted(MuxStream *s, void *userdata)
{
    Guest *g = userdata;
    assert_ptr_equal(s, g->s);
    g->accepted = true;
}

static void on_data(MuxStream *s, const uint8_t *data, size_t len, void *userdata)
{
    Guest *g = userdata;
    char *heard = str_format("%s%.*s", g->heard ? g->heard : "", (int) len, (const char *) data);
    free(g->heard);
    g->heard = heard;
    mux_stream_consumed(s, len);
}

static void on_room(MuxStream *s, void *userdata)
{
    (void) s;
    (void) userdata;
}

static void on_closed(MuxStream *s, const char *reason, void *userdata)
{
    Guest *g = userdata;
    (void) s;
    g->s = NULL;
    g->ended = true;
    g->reason = reason ? strdup(reason) : NULL;
}

static const MuxStreamEvents guest_events = {
    .on_accepted = on_accepted,
    .on_data = on_data,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void on_open(Mux *m, MuxStream *s, const cJSON *open, void *userdata)
{
    World *w = userdata;
    (void) m;
    bridge_open(w->bridge, s, open);
}

static const MuxEvents box_events = { .on_open = on_open }, gateway_events = {};

static int may_open(const cJSON *open, void *userdata, Error *err)
{
    World *w = userdata;
    assert_non_null(json_string(open, "person"));
    return w->closed_house ? error_set(err, EACCES, "recovery.closed", "not now") : 0;
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    World *w = userdata;
    (void) source;
    (void) revents;
    int served = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(served >= 0 && w->n_served < BRIDGE_SESSIONS_MAX + 1);
    assert_int_equal(write(served, "hello\n", 6), 6);
    w->served[w->n_served++] = served;
    return 0;
}

static uint16_t listen_somewhere(World *w)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listener, (struct sockaddr *) &addr, sizeof addr), 0);
    assert_int_equal(listen(w->listener, 16), 0);
    assert_int_equal(getsockname(w->listener, (struct sockaddr *) &addr, &len), 0);
    assert_true(sd_event_add_io(w->event, &w->io, w->listener, EPOLLIN, on_listen, w) >= 0);
    return ntohs(addr.sin_port);
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    MuxOptions options = {
        .window_initial = MUX_WINDOW_INITIAL,
        .window_max = MUX_WINDOW_MAX,
        .session_max = MUX_SESSION_MAX_BOX,
        .userdata = w,
    };
    (void) snprintf(w->folder, sizeof w->folder, "/tmp/secbox-test-bridge-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->path = str_format("%s/sessions.json", w->folder);
    assert_true(service_loop_new(&w->event, NULL) >= 0);
    options.side = MUX_GATEWAY;
    options.events = &gateway_events;
    assert_true(mux_new(&options, &w->gateway) >= 0);
    options.side = MUX_CLIENT;
    options.events = &box_events;
    assert_true(mux_new(&options, &w->box) >= 0);
    mux_attach(w->gateway, boottime_usec());
    mux_attach(w->box, boottime_usec());
    uint16_t port = listen_somewhere(w);
    const BridgeTarget targets[] = {
        { .name = "ssh", .host = "127.0.0.1", .port = port },
        { .name = "by-name", .host = "localhost", .port = port },
        { .name = "nobody", .host = "127.0.0.2", .port = port },
        { .name = "window", .host = "127.0.0.1", .port = port, .passive = true },
        {},
    };
    const BridgeOptions bridge = {
        .program = "test",
        .targets = targets,
        .sessions_path = w->path,
        .may_open = may_open,
        .userdata = w,
    };
    assert_true(bridge_new(w->event, &bridge, &w->bridge, NULL) >= 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    bridge_free(w->bridge);
    mux_free(w->gateway);
    mux_free(w->box);
    for (unsigned i = 0; i < w->n_served; i++)
        close(w->served[i]);
    for (unsigned i = 0; i <= BRIDGE_SESSIONS_MAX; i++) {
        free(w->guests[i].reason);
        free(w->guests[i].heard);
    }
    sd_event_source_disable_unref(w->io);
    if (w->listener >= 0)
        close(w->listener);
    sd_event_unref(w->event);
    assert_int_equal(dir_remove(w->folder, NULL), 0);
    free(w->path);
    free(w);
    return 0;
}

static void turn(World *w)
{
    bool more = mux_carry(w->gateway, w->box);
    more |= mux_carry(w->box, w->gateway);
    (void) mux_tick(w->gateway, boottime_usec());
    (void) mux_tick(w->box, boottime_usec());
    assert_true(sd_event_run(w->event, more ? 0 : 1000) >= 0);
}

#define RUN_UNTIL(w, condition)                                                                                        \
    while (!(condition))                                                                                               \
    turn(w)

static Guest *come(World *w, unsigned i, const char *target)
{
    Guest *g = &w->guests[i];
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    _cleanup_(freep) char *id = str_format("s-%u", i);
    assert_true(json_add_string(open, "target", target) >= 0 && json_add_string(open, "session", id) >= 0 &&
                json_add_string(open, "person", "alice\n") >= 0 && json_add_string(open, "grant", "g-1") >= 0 &&
                json_add_string(open, "reason", "the camera is dark") >= 0);
    assert_true(mux_open(w->gateway, open, &guest_events, g, &g->s) >= 0);
    return g;
}

static cJSON *read_file(const World *w, int expect)
{
    cJSON *document = NULL;
    assert_int_equal(sessions_file_read(w->path, &document, NULL), expect);
    return document;
}

static int listed(const World *w)
{
    _cleanup_(cJSON_Deletep) cJSON *document = read_file(w, 0);
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(document, "sessions"));
}

static void test_in_and_out(void **state)
{
    World *w = *state;
    assert_int_equal(listed(w), 0);
    Guest *g = come(w, 0, "ssh"), *other = come(w, 1, "by-name");
    RUN_UNTIL(w, g->heard && other->heard && strlen(g->heard) + strlen(other->heard) == 12);
    assert_string_equal(g->heard, "hello\n");
    assert_true(g->accepted);
    assert_int_equal(bridge_sessions(w->bridge), 2);
    _cleanup_(cJSON_Deletep) cJSON *document = read_file(w, 0);
    cJSON *sessions = cJSON_GetObjectItemCaseSensitive(document, "sessions"), *entry;
    assert_string_equal(json_string(document, "program"), "test");
    assert_int_equal(cJSON_GetArraySize(sessions), 2);
    entry = cJSON_GetArrayItem(sessions, 0);
    assert_string_equal(json_string(entry, "session"), "s-0");
    assert_string_equal(json_string(entry, "target"), "ssh");
    assert_string_equal(json_string(entry, "person"), "alice");
    assert_string_equal(json_string(entry, "grant"), "g-1");
    assert_string_equal(json_string(entry, "reason"), "the camera is dark");
    struct stat st;
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(mux_stream_write(g->s, "bye", 3), 3);
    mux_stream_finish(g->s);
    char data[16];
    RUN_UNTIL(w, recv(w->served[0], data, sizeof data, MSG_DONTWAIT | MSG_PEEK) == 3);
    close(w->served[0]);
    w->served[0] = w->served[--w->n_served];
    RUN_UNTIL(w, g->ended && bridge_sessions(w->bridge) == 1);
    assert_int_equal(listed(w), 1);
    mux_stream_reset(other->s, "grant.revoked");
    RUN_UNTIL(w, bridge_sessions(w->bridge) == 0);
    assert_int_equal(listed(w), 0);
}

static bool is_passive(const World *w, const char *target)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    assert_true(json_add_string(open, "target", target) >= 0);
    return bridge_is_passive(w->bridge, open);
}

/* It is shown, and takes a place as any other, but nobody waits for its end. */
static void test_who_only_looks_on(void **state)
{
    World *w = *state;
    Guest *g = come(w, 0, "window");
    RUN_UNTIL(w, g->heard);
    assert_int_equal(listed(w), 1);
    assert_int_equal(bridge_sessions(w->bridge), 0);
    assert_true(is_passive(w, "window"));
    assert_false(is_passive(w, "ssh") || is_passive(w, "nothing"));
    Guest *other = come(w, 1, "ssh");
    RUN_UNTIL(w, other->heard);
    assert_int_equal(bridge_sessions(w->bridge), 1);
    bridge_end_all(w->bridge);
    RUN_UNTIL(w, g->ended && other->ended);
    assert_string_equal(g->reason, "bridge.ended");
}

static void test_refusals(void **state)
{
    World *w = *state;
    Guest *g = come(w, 0, "postgres"), *nobody = come(w, 1, "nobody");
    RUN_UNTIL(w, g->ended && nobody->ended);
    assert_string_equal(g->reason, "bridge.no-target");
    assert_string_equal(nobody->reason, "bridge.connect");
    w->closed_house = true;
    g = come(w, 2, "ssh");
    RUN_UNTIL(w, g->ended);
    assert_string_equal(g->reason, "recovery.closed");
    assert_false(g->accepted);
    w->closed_house = false;
    for (unsigned i = 0; i < 3; i++)
        free(TAKE_PTR(w->guests[i].reason));
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++)
        (void) come(w, i, "ssh");
    RUN_UNTIL(w, bridge_sessions(w->bridge) == BRIDGE_SESSIONS_MAX);
    g = come(w, BRIDGE_SESSIONS_MAX, "ssh");
    RUN_UNTIL(w, g->ended);
    assert_string_equal(g->reason, "bridge.busy");
    assert_int_equal(bridge_sessions(w->bridge), BRIDGE_SESSIONS_MAX);
}

/* Taken back before the target has answered, and the bridge freed meanwhile: nothing stays, nothing is called. */
static void test_taken_back(void **state)
{
    World *w = *state;
    Guest *g = come(w, 0, "by-name");
    while (mux_streams(w->box) == 0)
        assert_true(mux_carry(w->gateway, w->box));
    mux_stream_reset(g->s, "stream.taken-back");
    RUN_UNTIL(w, mux_streams(w->box) == 0);
    assert_int_equal(bridge_sessions(w->bridge), 0);
    g = come(w, 1, "ssh");
    Guest *waits = come(w, 2, "by-name");
    RUN_UNTIL(w, g->heard);
    (void) mux_carry(w->gateway, w->box);
    bridge_end_all(w->bridge);
    assert_int_equal(listed(w), 0);
    RUN_UNTIL(w, g->ended && waits->ended);
    assert_string_equal(g->reason, "bridge.ended");
    assert_string_equal(waits->reason, "bridge.ended");
    g = come(w, 3, "ssh");
    RUN_UNTIL(w, g->heard);
    w->bridge = bridge_free(w->bridge);
    RUN_UNTIL(w, g->ended);
    assert_string_equal(g->reason, "bridge.ended");
    cJSON *none = read_file(w, -ENOENT);
    assert_null(none);
}

/* What a process left behind that ended without a word counts no more, and does not hinder the next one. */
static void test_stale_file(void **state)
{
    World *w = *state;
    _cleanup_(freep) char *path = str_format("%s/other.json", w->folder);
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        SessionsFile *f = NULL;
        byte = sessions_file_new(path, "other", &f, NULL) < 0 ? 'x' : '.';
        (void) !write(ready[1], &byte, 1);
        pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, '.');
    _cleanup_(cJSON_Deletep) cJSON *document = NULL;
    _cleanup_(error_done) Error err = {};
    SessionsFile *f = NULL;
    assert_int_equal(sessions_file_read(path, &document, NULL), 0);
    assert_true(sessions_file_new(path, "next", &f, &err) < 0);
    assert_string_equal(err.id, "sessions.taken");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(access(path, F_OK), 0);
    cJSON *stale = NULL;
    assert_int_equal(sessions_file_read(path, &stale, NULL), -ENOENT);
    assert_int_equal(sessions_file_new(path, "next", &f, NULL), 0);
    sessions_file_free(f);
    assert_int_not_equal(access(path, F_OK), 0);
    close(ready[0]);
    close(ready[1]);
}

static void test_damaged_file(void **state)
{
    World *w = *state;
    static const char *const contents[] = { "", "[]", "{\"program\":\"x\"}", "{\"program\":1,\"sessions\":[]}" };
    for (size_t i = 0; i < ELEMENTSOF(contents); i++) {
        cJSON *document = NULL;
        assert_true(file_write_atomic(w->path, contents[i], strlen(contents[i]), 0600, (uid_t) -1, (gid_t) -1, NULL) >=
                    0);
        int r = sessions_file_read(w->path, &document, NULL);
        assert_true(r < 0 && r != -ENOENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_only_looks_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_file, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

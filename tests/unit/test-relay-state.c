/* SPDX-License-Identifier: MIT */
/* The state file of relay-client: there and back, what a container may not put into it, and what reports make of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json-fields.h"
#include "lib/data/relay-state.h"
#include "relay-client/cloudflare/cloudflared-answers.h"

static char path[] = "/tmp/test-relay-state-XXXXXX";

static int make_file(void **state _unused_)
{
    int fd = mkstemp(path);

    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state _unused_)
{
    return unlink(path);
}

static void write_text(const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static char *describe(const RelayState *s, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *o = relay_state_describe(s, now);

    return json_print(o);
}

static void test_there_and_back(void **state _unused_)
{
    RelayState s = { .condition = RELAY_CONNECTED,
                     .since = 1790000000 * USEC_PER_SEC,
                     .beat = 100 * USEC_PER_SEC,
                     .open = 2,
                     .visitors = 9,
                     .bytes_in = UINT64_MAX,
                     .bytes_out = 7,
                     .counts_bytes = true };
    _cleanup_(relay_state_done) RelayState read = {};

    assert_int_equal(json_set(&s.provider, "rathole"), 0);
    assert_int_equal(json_set(&s.public_url, "https://a.example"), 0);
    _cleanup_(freep) char *text = relay_state_print(&s);
    write_text(text);
    assert_int_equal(relay_state_read(path, &read, NULL), 0);
    _cleanup_(freep) char *fresh = describe(&read, 145 * USEC_PER_SEC), *stale = describe(&read, 146 * USEC_PER_SEC);
    assert_string_equal(fresh,
                        "{\"provider\":\"rathole\",\"state\":\"connected\",\"since\":\"2026-09-21T14:13:20.000Z\","
                        "\"publicUrl\":\"https://a.example\",\"open\":2,\"visitors\":\"9\",\"bytesIn\":"
                        "\"18446744073709551615\",\"bytesOut\":\"7\",\"reconnects\":\"0\"}");
    assert_non_null(strstr(stale, "\"state\":\"silent\""));
    assert_true(relay_state_is_stale(&read, 99 * USEC_PER_SEC)); /* of another boot */
    relay_state_done(&s);
}

static void test_what_a_container_may_not_put_there(void **state _unused_)
{
    static const char *const bad[] = { "",
                                       "[]",
                                       "{}",
                                       "{\"provider\":7}",
                                       "{\"provider\":\"x\",\"state\":\"grand\"}",
                                       "{\"provider\":\"x\",\"open\":-1}" };
    _cleanup_(relay_state_done) RelayState s = {};

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        write_text(bad[i]);
        _cleanup_(error_done) Error err = {};
        if (relay_state_read(path, &s, &err) >= 0 || !str_equal(err.id, "relay.bad-state"))
            fail_msg("%s was taken", bad[i]);
    }
    write_text("{\"provider\":\"\\u001b[31mx\",\"state\":\"refused\",\"errorMessage\":\"a\\nb\"}");
    assert_int_equal(relay_state_read(path, &s, NULL), 0);
    assert_string_equal(s.provider, "?[31mx");
    assert_string_equal(s.error_message, "a b");
}

static void test_what_cloudflared_says(void **state _unused_)
{
    static const struct {
        int status;
        const char *body;
        int expected;
    } ready[] = {
        { 200, "{\"status\":200,\"readyConnections\":4,\"connectorId\":\"x\"}", 4 },
        { 503, "{\"status\":503,\"readyConnections\":0,\"connectorId\":\"x\"}", 0 },
        { 503, "{\"status\":503,\"readyConnections\":2}", 0 },
        { 200, "OK\n", -EBADMSG },
        { 0, "", -EBADMSG },
        { 200, "{\"readyConnections\":99999}", -EBADMSG },
    };
    const char *config = "{\"version\":3,\"config\":{\"ingress\":[{\"service\":\"http_status:404\"},"
                         "{\"hostname\":\"box.example\",\"service\":\"https://secbox:8444\"}]}}";
    const char *hostile = "{\"config\":{\"ingress\":[{\"hostname\":\"a/../b\"},{\"hostname\":\"\"}]}}";

    for (size_t i = 0; i < ELEMENTSOF(ready); i++)
        assert_int_equal(cloudflared_ready_connections(ready[i].status, ready[i].body, strlen(ready[i].body)),
                         ready[i].expected);
    _cleanup_(freep) char *url = cloudflared_public_url(config, strlen(config));
    assert_string_equal(url, "https://box.example");
    assert_null(cloudflared_public_url(hostile, strlen(hostile)));
    /* {"a":"1","t":"2","s":"3"}, and {"a":"1"} */
    assert_int_equal(cloudflared_check_token("eyJhIjoiMSIsInQiOiIyIiwicyI6IjMifQ==", NULL), 0);
    assert_int_equal(cloudflared_check_token("eyJhIjoiMSJ9", NULL), -EINVAL);
    assert_int_equal(cloudflared_check_token("no-base64", NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_a_container_may_not_put_there),
        cmocka_unit_test(test_what_cloudflared_says),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}

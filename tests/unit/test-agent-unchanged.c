/* SPDX-License-Identifier: MIT */
/* "The same again" is answered at once only when it is certain; every doubt goes the long way. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "lib/data/digest.h"
#include "mgmt-agent/agent/agent.h"
#include "lib/base/proc.h"
#include "mgmt-agent/state/snapshot-store.h"

#define TEXT "services:\n  web:\n    image: a\n"

/* A committed project whose one service is this very process, and whose one-shot has a folder that is there. */
static void commit(void)
{
    _cleanup_(freep) char *inputs = NULL;
    _cleanup_(freep) char *text = NULL;

    agent_root_write(SECBOX_ENV_PATH, "A=1\n");
    agent_root_write(POLICY_PATH, NULL);
    assert_int_equal(store_inputs_digest(TEXT, NULL, &inputs, NULL), 0);
    text =
        str_format("{\"version\":\"7\",\"sha256\":\"s\",\"inputs\":\"%s\",\"id\":\"old\",\"services\":["
                   "{\"name\":\"web\",\"container\":\"box_web_1\",\"id\":\"i\",\"image\":\"a\",\"state\":\"running\","
                   "\"pid\":%d,\"startTicks\":\"%llu\"},"
                   "{\"name\":\"once\",\"container\":\"box_once_1\",\"id\":\"j\",\"image\":\"b\",\"state\":\"exited\","
                   "\"pid\":0,\"startTicks\":\"0\",\"staticDir\":\"%s\"}]}",
                   inputs, (int) getpid(), (unsigned long long) process_start_ticks(getpid()), agent_root);
    agent_root_write(AGENT_STATE_DIR "/current.json", text);
    assert_int_equal(store_save_floor(7, NULL), 0);
    assert_int_equal(store_save_unacked(NULL, NULL), 0);
}

static int ask(const char *message_text, bool from_cloud, cJSON **ret)
{
    char device[] = "box1";
    Agent a = { .device_id = device };
    _cleanup_(cJSON_Deletep) cJSON *message = json_of(message_text);

    return agent_check_unchanged(&a, message, from_cloud, ret);
}

#define SAME "\"id\":\"d-8\",\"deviceId\":\"box1\",\"compose\":\"services:\\n  web:\\n    image: a\\n\""

static void test_same_again(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(cJSON_Deletep) cJSON *unacked = NULL;
    _cleanup_(cJSON_Deletep) cJSON *kept = NULL;
    uint64_t floor;

    (void) state;
    commit();
    assert_int_equal(ask("{" SAME ",\"version\":\"9\"}", true, &result), 1);
    assert_string_equal(json_string(result, "outcome"), "done");
    assert_true(json_bool(result, "noop", false));
    assert_string_equal(json_string(result, "id"), "d-8");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(result, "services")), 2);
    /* what a push of it would have left behind */
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_int_equal(floor, 9);
    assert_int_equal(current_load(&current, NULL), 0);
    assert_string_equal(current->version, "9");
    assert_int_equal(store_load_unacked(&unacked, NULL), 0);
    assert_string_equal(json_string(unacked, "id"), "d-8");
    assert_int_equal(store_load_snapshot("9", &kept, NULL), 0);
}

static void test_same_again_on_the_box(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(cJSON_Deletep) cJSON *unacked = NULL;
    uint64_t floor;

    (void) state;
    commit();
    assert_int_equal(ask("{" SAME ",\"version\":\"local-8\"}", false, &result), 1);
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_int_equal(floor, 7);
    assert_int_equal(store_load_unacked(&unacked, NULL), 0);
    assert_null(unacked);
}

static void assert_long_way(const char *why, const char *message)
{
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(cJSON_Deletep) cJSON *unacked = NULL;
    uint64_t floor;

    if (ask(message, true, &result) != 0 || result)
        fail_msg("answered at once: %s", why);
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_int_equal(floor, 7);
    assert_int_equal(store_load_unacked(&unacked, NULL), 0);
    assert_null(unacked);
}

static void test_what_verify_would_refuse(void **state)
{
    static const char *const messages[] = {
        "{" SAME ",\"version\":\"7\"}",
        "{" SAME ",\"version\":\"6\"}",
        "{" SAME ",\"version\":\"0\"}",
        "{" SAME ",\"version\":\"local-9\"}",
        "{" SAME "}",
        "{" SAME ",\"version\":\"9\",\"expiresAt\":\"2020-01-01T00:00:00.000Z\"}",
        "{" SAME ",\"version\":\"9\",\"expiresAt\":\"never\"}",
        "{\"id\":\"d\",\"version\":\"9\",\"deviceId\":\"box2\",\"compose\":\"services:\\n  web:\\n    image: a\\n\"}",
        "{\"id\":\"d\",\"version\":\"9\",\"compose\":\"services:\\n  web:\\n    image: a\\n\"}",
        "{\"id\":\"d\",\"version\":\"9\",\"deviceId\":\"box1\",\"compose\":\"services:\\n  web:\\n    image: b\\n\"}",
    };

    (void) state;
    commit();
    for (size_t i = 0; i < ELEMENTSOF(messages); i++)
        assert_long_way(messages[i], messages[i]);
}

/* `from` in current.json becomes `to`. */
static void doubt(const char *from, const char *to)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(freep) char *changed = NULL;
    const char *at;

    commit();
    text = agent_root_read(AGENT_STATE_DIR "/current.json");
    at = strstr(text, from);
    if (!at)
        fail_msg("the test itself is wrong: no %s in %s", from, text);
    changed = str_format("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
    agent_root_write(AGENT_STATE_DIR "/current.json", changed);
    assert_long_way(from, "{" SAME ",\"version\":\"9\"}");
}

static void test_every_doubt(void **state)
{
    (void) state;
    doubt("\"startTicks\":\"", "\"startTicks\":\"1"); /* the number is another process's now */
    doubt("\"startTicks\"", "\"ticks\"");
    doubt("\"pid\":", "\"pid\":-");
    doubt("\"staticDir\":\"", "\"staticDir\":\"/nowhere"); /* the one-shot's container was removed */
    doubt("\"staticDir\"", "\"dir\"");
    doubt("\"inputs\":\"", "\"inputs\":\"0");
    doubt("\"services\":[", "\"services\":[],\"x\":[");
    doubt("{", "[");

    commit();
    agent_root_write(SECBOX_ENV_PATH, "A=2\n");
    assert_long_way("secbox.env was edited", "{" SAME ",\"version\":\"9\"}");
    commit();
    agent_root_write(SECBOX_ENV_PATH, NULL);
    assert_long_way("secbox.env is gone", "{" SAME ",\"version\":\"9\"}");
    commit();
    agent_root_write(POLICY_PATH, "{}");
    assert_long_way("policy.json appeared", "{" SAME ",\"version\":\"9\"}");
    commit();
    agent_root_write(AGENT_STATE_DIR "/current.json", NULL);
    assert_long_way("nothing was ever committed", "{" SAME ",\"version\":\"9\"}");
}

static void test_not_while_something_is_under_way(void **state)
{
    char device[] = "box1";
    _cleanup_(cJSON_Deletep) cJSON *message = json_of("{" SAME ",\"version\":\"9\"}");

    (void) state;
    commit();
    for (int s = DEPLOY_IDLE + 1; s < _DEPLOY_STATE_MAX; s++) {
        Agent a = { .device_id = device, .journal = { .state = (DeployState) s } };
        cJSON *result = NULL;

        assert_int_equal(agent_check_unchanged(&a, message, true, &result), 0);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_same_again_on_the_box),
        cmocka_unit_test(test_what_verify_would_refuse),
        cmocka_unit_test(test_every_doubt),
        cmocka_unit_test(test_not_while_something_is_under_way),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

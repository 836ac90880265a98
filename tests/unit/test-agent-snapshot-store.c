/* SPDX-License-Identifier: MIT */
/* What the box remembers: the history's cut, the version floor, which snapshots are kept, and what counts as the same input. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <fcntl.h>

#include "mgmt-agent/state/snapshot-store.h"

#define HISTORY AGENT_STATE_DIR "/history.jsonl"

static void add_result(unsigned number, size_t padding)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *text = malloc(padding + 1);
    _cleanup_(error_done) Error err = {};
    int r;

    memset(text, 'x', padding);
    text[padding] = '\0';
    assert_int_equal(json_add_int(o, "n", (int) number), 0);
    assert_int_equal(json_add_string(o, "padding", text), 0);
    r = store_add_history(o, &err);
    if (r < 0)
        fail_msg("result %u of %zu bytes: %s", number, padding, error_message(&err, r));
}

/* The numbers must be newest … newest - n + 1. */
static void assert_history(size_t limit, unsigned newest, unsigned n)
{
    _cleanup_(cJSON_Deletep) cJSON *entries = NULL;

    assert_int_equal(store_load_history(limit, &entries, NULL), 0);
    assert_int_equal(cJSON_GetArraySize(entries), n);
    for (unsigned i = 0; i < n; i++) {
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(entries, (int) i), "n");

        assert_int_equal(number->valueint, newest - i);
    }
}

static void test_history_is_cut(void **state)
{
    (void) state;
    agent_root_write(HISTORY, NULL);
    assert_history(10, 0, 0);
    for (unsigned i = 1; i <= STORE_HISTORY_MAX + 7; i++)
        add_result(i, 10);
    assert_history(1, STORE_HISTORY_MAX + 7, 1);
    assert_history(5, STORE_HISTORY_MAX + 7, 5);
    assert_history(0, 0, 0);
    assert_history(100000, STORE_HISTORY_MAX + 7, STORE_HISTORY_MAX);
}

/* A few hundred fat results must neither stop the next one from being kept nor throw all others away. */
static void test_fat_results(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *entries = NULL;

    (void) state;
    agent_root_write(HISTORY, NULL);
    for (unsigned i = 1; i <= 120; i++)
        add_result(i, 60 * 1024);
    assert_int_equal(store_load_history(STORE_HISTORY_MAX, &entries, NULL), 0);
    assert_true(cJSON_GetArraySize(entries) >= 20);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(entries, 0), "n")->valueint, 120);
    agent_root_write(HISTORY, NULL);
}

static void test_f56_broken_history(void **state)
{
    static const char *const broken[] = {
        "not json\n", "{\"n\":1}", "{\"n\":1}\nnot json\n{\"n\":", "\n\n\n", "[]\n7\nnull\n", "{\"n\":1,\"n\":1}\n",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        _cleanup_(cJSON_Deletep) cJSON *entries = NULL;

        agent_root_write(HISTORY, broken[i]);
        add_result(9, 1);
        add_result(10, 1);
        assert_int_equal(store_load_history(100, &entries, NULL), 0);
        assert_true(cJSON_GetArraySize(entries) >= 2);
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(entries, 0), "n")->valueint, 10);
    }
    agent_root_write(HISTORY, NULL);
}

static void test_f26_floor(void **state)
{
    static const char *const broken[] = { "", "7", "{\"floor\":-1}", "{\"floor\":\"many\"}", "{\"floor\":1.5}", "{" };
    uint64_t floor = 99;

    (void) state;
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_int_equal(floor, 0);
    for (uint64_t wanted = 1; wanted != 0; wanted = wanted > UINT64_MAX / 3 ? 0 : wanted * 3) {
        assert_int_equal(store_save_floor(wanted, NULL), 0);
        assert_int_equal(store_load_floor(&floor, NULL), 0);
        assert_int_equal(floor, wanted);
    }
    assert_int_equal(store_save_floor(UINT64_MAX, NULL), 0);
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_true(floor == UINT64_MAX);
    /* a floor that cannot be read must not become 0: an old snapshot would be taken */
    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        _cleanup_(error_done) Error err = {};

        floor = 99;
        agent_root_write(AGENT_STATE_DIR "/floor.json", broken[i]);
        if (store_load_floor(&floor, &err) >= 0)
            fail_msg("taken for a floor: %s", broken[i]);
        assert_string_equal(error_id(&err), "store.read");
        assert_int_equal(floor, 99);
    }
    agent_root_write(AGENT_STATE_DIR "/floor.json", "{}");
    assert_true(store_load_floor(&floor, NULL) < 0);
    agent_root_write(AGENT_STATE_DIR "/floor.json", NULL);
}

static void test_versions_are_safe_names(void **state)
{
    static const char *const good[] = { "1", "18446744073709551615", "local-1767323045678", "007" };
    static const char *const bad[] = { "",       "local-",     "../1", "1/2",
                                       "1.json", ".",          "-1",   " 1",
                                       "1\n",    "local-../x", "ü",    "12345678901234567890123456789012345678901" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_int_equal(store_check_version(good[i], NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
        cJSON *back = NULL;

        if (store_check_version(bad[i], &err) >= 0)
            fail_msg("taken for a version: '%s'", bad[i]);
        assert_string_equal(error_id(&err), "snapshot.bad-version");
        assert_int_equal(store_save_snapshot(bad[i], o, NULL), -EINVAL);
        assert_int_equal(store_load_snapshot(bad[i], &back, NULL), -EINVAL);
        assert_null(back);
    }
}

static void save_snapshot(const char *version, time_t changed)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *relative = str_format(AGENT_STATE_DIR "/snapshots/%s.json", version);
    _cleanup_(freep) char *path = path_in_root(relative);
    struct timespec times[2] = { { .tv_sec = changed }, { .tv_sec = changed } };

    assert_int_equal(json_add_string(o, "version", version), 0);
    assert_int_equal(store_save_snapshot(version, o, NULL), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_kept(const char *version)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error err = {};
    int r = store_load_snapshot(version, &o, &err);

    if (r < 0)
        assert_string_equal(error_id(&err), "snapshot.unknown");
    else
        assert_string_equal(json_string(o, "version"), version);
    return r == 0;
}

static void test_prune(void **state)
{
    (void) state;
    for (unsigned i = 1; i <= 12; i++) {
        char version[8];

        snprintf(version, sizeof(version), "%u", i);
        save_snapshot(version, 1000 + i);
    }
    store_prune_snapshots("2", "local-none");
    for (unsigned i = 1; i <= 12; i++) {
        char version[8];

        snprintf(version, sizeof(version), "%u", i);
        if (is_kept(version) != (i > 12 - STORE_SNAPSHOTS_KEPT || i == 2))
            fail_msg("snapshot %u", i);
    }
    /* "1" is not meant by "12", nor the other way round */
    save_snapshot("1", 10);
    store_prune_snapshots("12", NULL);
    assert_false(is_kept("1"));
    assert_false(is_kept("2"));
    store_prune_snapshots(NULL, NULL);
    assert_true(is_kept("12"));
}

static void test_unacked(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of("{\"version\":\"7\",\"services\":[]}");
    cJSON *back = o;

    (void) state;
    assert_int_equal(store_load_unacked(&back, NULL), 0);
    assert_null(back);
    assert_int_equal(store_save_unacked(o, NULL), 0);
    assert_int_equal(store_load_unacked(&back, NULL), 0);
    assert_true(cJSON_Compare(o, back, true));
    cJSON_Delete(back);
    assert_int_equal(store_save_unacked(NULL, NULL), 0);
    assert_int_equal(store_save_unacked(NULL, NULL), 0);
    assert_int_equal(store_load_unacked(&back, NULL), 0);
    assert_null(back);
}

/* Every input that decides what is done changes the digest; nothing else does. */
static void test_inputs_digest(void **state)
{
    static const struct {
        const char *compose, *env, *policy, *bundle;
    } inputs[] = {
        { "services:\n", NULL, NULL, NULL },
        { "services:\n ", NULL, NULL, NULL },
        { "services:\n", "A=1\n", NULL, NULL },
        { "services:\n", "A=2\n", NULL, NULL },
        { "services:\n", NULL, "A=1\n", NULL },
        { "services:\n", NULL, "{}", NULL },
        { "services:\n", "A=1\n", "A=1\n", NULL },
        { "", NULL, NULL, NULL },
        { "", "services:\n", NULL, NULL },
        { "", NULL, NULL, "sha256:a" },
        { "", NULL, NULL, "sha256:b" },
    };
    char *digests[ELEMENTSOF(inputs)] = {};

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++) {
        _cleanup_(freep) char *again = NULL;

        agent_root_write(SECBOX_ENV_PATH, inputs[i].env);
        agent_root_write(POLICY_PATH, inputs[i].policy);
        assert_int_equal(store_inputs_digest(inputs[i].compose, inputs[i].bundle, &digests[i], NULL), 0);
        assert_int_equal(store_inputs_digest(inputs[i].compose, inputs[i].bundle, &again, NULL), 0);
        assert_string_equal(digests[i], again);
        assert_int_equal(strlen(again), 64);
        for (size_t j = 0; j < i; j++)
            if (str_equal(digests[i], digests[j]))
                fail_msg("inputs %zu and %zu count as the same", i, j);
    }
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++)
        free(digests[i]);
    agent_root_write(SECBOX_ENV_PATH, NULL);
    agent_root_write(POLICY_PATH, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_is_cut),
        cmocka_unit_test(test_fat_results),
        cmocka_unit_test(test_f56_broken_history),
        cmocka_unit_test(test_f26_floor),
        cmocka_unit_test(test_versions_are_safe_names),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_unacked),
        cmocka_unit_test(test_inputs_digest),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

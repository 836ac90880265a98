/* SPDX-License-Identifier: MIT */
/* What labels ask for, how old an image is, and which images are not tried again. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/image-age.h"
#include "mgmt-agent/state/watch-labels.h"

#define W "com.centurylinklabs.watchtower."

static WatchLabels labels(const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(text);
    WatchLabels l = {};

    assert_int_equal(watch_labels_read(o, &l), 0);
    return l;
}

static void test_labels(void **state)
{
    static const struct {
        const char *text;
        bool enabled, disabled, monitor_only, local;
    } cases[] = {
        { "{}", false, false, false, false },
        { "{\"" W "enable\":\"true\"}", true, false, false, false },
        { "{\"" W "enable\":\"0\"}", false, true, false, false },
        { "{\"" W "monitor-only\":\"True\",\"other\":\"x\"}", false, false, true, false },
        { "{\"" W "no-pull\":\"1\"}", false, false, false, true },
        { "{\"io.containers.autoupdate\":\"registry\"}", true, false, false, false },
        { "{\"io.containers.autoupdate\":\"image\"}", true, false, false, false },
        { "{\"io.containers.autoupdate\":\"local\"}", true, false, false, true },
        { "{\"io.containers.autoupdate\":\"disabled\"}", false, true, false, false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(watch_labels_done) WatchLabels l = labels(cases[i].text);

        assert_null(l.problem);
        assert_int_equal(l.enabled, cases[i].enabled);
        assert_int_equal(l.disabled, cases[i].disabled);
        assert_int_equal(l.monitor_only, cases[i].monitor_only);
        assert_int_equal(l.local, cases[i].local);
    }
}

static void test_bad_labels(void **state)
{
    static const char *const cases[] = {
        "{\"" W "enable\":\"yes\"}",
        "{\"" W "monitor-only\":\"\"}",
        "{\"" W "no-pull\":\"ja\"}",
        "{\"io.containers.autoupdate\":\"always\"}",
        "{\"" W "lifecycle.pre-update-timeout\":\"1m\"}",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(watch_labels_done) WatchLabels l = labels(cases[i]);

        assert_non_null(l.problem);
        assert_non_null(strstr(l.problem, "must be"));
    }
}

/* One label of an image is no reason for which the watcher of every other service stops. */
static void test_too_many_dependencies(void **state)
{
    _cleanup_(strv_freep) char **names = NULL;

    (void) state;
    for (size_t i = 0; i < 65; i++)
        assert_true(strv_addf(&names, "db%zu", i) >= 0);
    _cleanup_(freep) char *joined = strv_join(names, ",");
    _cleanup_(freep) char *text = str_format("{\"" W "depends-on\":\"%s\"}", joined);
    _cleanup_(watch_labels_done) WatchLabels l = labels(text);
    assert_non_null(strstr(l.problem, "at most 64 services"));
    assert_int_equal(strv_length(l.depends_on), 64);
}

static void test_lists_and_hooks(void **state)
{
    _cleanup_(watch_labels_done) WatchLabels l =
        labels("{\"" W "depends-on\":\" /db, cache ,,queue\",\"" W "scope\":\"prod\",\"" W
               "lifecycle.pre-update\":\"exit 75\",\"" W "lifecycle.post-update\":\"true\",\"" W
               "lifecycle.post-update-timeout\":\"2\",\"" W "lifecycle.pre-check-timeout\":\"0\",\"" W
               "lifecycle.post-check-timeout\":\"99999\"}");
    _cleanup_(freep) char *names = strv_join(l.depends_on, "|");

    (void) state;
    assert_null(l.problem);
    assert_string_equal(names, "db|cache|queue");
    assert_string_equal(l.scope, "prod");
    assert_string_equal(l.hooks[HOOK_PRE_UPDATE], "exit 75");
    assert_string_equal(l.hooks[HOOK_POST_UPDATE], "true");
    assert_null(l.hooks[HOOK_PRE_CHECK]);
    assert_int_equal(l.hook_timeout[HOOK_PRE_UPDATE], USEC_PER_MINUTE);
    assert_int_equal(l.hook_timeout[HOOK_POST_UPDATE], 2 * USEC_PER_MINUTE);
    assert_int_equal(l.hook_timeout[HOOK_PRE_CHECK], HOOK_TIMEOUT_MAX_USEC);
    assert_int_equal(l.hook_timeout[HOOK_POST_CHECK], HOOK_TIMEOUT_MAX_USEC);
}

static void test_select(void **state)
{
    _cleanup_(freep) char *long_value = malloc(2001);
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(cJSON_Deletep) cJSON *kept = NULL;
    _cleanup_(freep) char *printed = NULL;

    (void) state;
    memset(long_value, 'x', 2000);
    long_value[2000] = '\0';
    text = str_format("{\"maintainer\":\"a\",\"" W "scope\":\"s\",\"" W "lifecycle.pre-check\":\"true\",\"" W
                      "lifecycle.post-check\":\"%s\"}",
                      long_value);
    o = json_of(text);
    kept = watch_labels_select(o);
    printed = json_print_canonical(kept);
    assert_string_equal(printed, "{\"" W "lifecycle.pre-check\":\"true\",\"" W "scope\":\"s\"}");
}

#define SECONDS(n) ((usec_t) (n) *USEC_PER_SEC)
#define NOON_2026 SECONDS(1767268800) /* 2026-01-01T12:00:00Z */

static void test_image_age(void **state)
{
    static const struct {
        const char *info;
        usec_t at;
    } cases[] = {
        { "{\"Created\":\"2025-12-31T12:00:00Z\"}", NOON_2026 - SECONDS(86400) },
        { "{\"Created\":\"1970-01-01T00:00:00Z\"}", 0 },
        { "{\"Created\":\"2026-01-01T12:00:01Z\"}", 0 },
        { "{\"Created\":\"1970-01-01T00:00:00Z\",\"Labels\":{\"org.opencontainers.image.created\":\"2026-01-01T11:00:"
          "00Z\"}}",
          NOON_2026 - SECONDS(3600) },
        { "{\"Created\":\"2025-12-31T12:00:00Z\",\"Labels\":{\"org.opencontainers.image.created\":\"today\"}}",
          NOON_2026 - SECONDS(86400) },
        { "{}", 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *info = json_of(cases[i].info);

        if (image_made_at(info, NOON_2026) != cases[i].at)
            fail_msg("%s", cases[i].info);
    }
}

static void add_failed(const char *digest, const char *image_id, const char *why)
{
    _cleanup_(freep) char *text = str_format("{\"id\":\"%s\"}", why);
    _cleanup_(cJSON_Deletep) cJSON *error = json_of(text);
    char service[] = "web";
    const FailedImage image = {
        .service = service, .digest = (char *) digest, .image_id = (char *) image_id, .error = error
    };

    assert_int_equal(failed_add(&image, NULL), 0);
}

static void assert_failed(const char *digest, const char *image_id, bool expected)
{
    _cleanup_(failed_done) FailedImages failed = {};

    failed_load(&failed);
    assert_true((failed_find(&failed, "web", digest, image_id) != NULL) == expected);
    assert_null(failed_find(&failed, "db", digest, image_id)); /* it has not failed there */
}

static void test_failed_images(void **state)
{
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_failed("sha256:a", "1", false);
    add_failed("sha256:a", "1", "prove.died");
    add_failed(NULL, "2", "prove.unhealthy");
    assert_failed("sha256:a", NULL, true);
    assert_failed("sha256:other", "1", true);
    assert_failed(NULL, "2", true);
    assert_failed("sha256:b", "3", false);
    assert_failed(NULL, NULL, false);
    assert_int_equal(failed_forget("sha256:b", &err), -ENOENT);
    assert_string_equal(error_id(&err), "update.unknown-digest");
    assert_int_equal(failed_forget("sha256:a", NULL), 0);
    assert_failed("sha256:a", "1", false);
    assert_failed(NULL, "2", true);
    assert_int_equal(failed_forget("all", NULL), 0);
    assert_failed(NULL, "2", false);
    assert_int_equal(failed_forget("all", NULL), 0);
}

/* It may have been the network: three times before it is left alone. */
static void test_unconfirmed_images(void **state)
{
    (void) state;
    for (unsigned i = 1; i <= FAILED_UNCONFIRMED_MAX; i++) {
        add_failed("sha256:net", "9", "confirm.deadline");
        assert_failed("sha256:net", "9", i == FAILED_UNCONFIRMED_MAX);
    }
    assert_int_equal(failed_forget("9", NULL), 0);
}

static void test_failed_list_is_bounded_and_forgiving(void **state)
{
    _cleanup_(failed_done) FailedImages failed = {};

    (void) state;
    for (unsigned i = 0; i < FAILED_MAX + 5; i++) {
        _cleanup_(freep) char *digest = str_format("sha256:%u", i);

        add_failed(digest, digest + 3, "prove.died");
    }
    assert_failed("sha256:36", NULL, true);
    failed_load(&failed);
    assert_int_equal(failed.n_items, FAILED_MAX);
    assert_string_equal(failed.items[0].digest, "sha256:36");
    agent_root_write(AGENT_STATE_DIR "/updates-failed.json", "{\"failed\":");
    assert_failed("sha256:36", NULL, false);
    add_failed("sha256:new", "8", "prove.died");
    assert_failed("sha256:new", NULL, true);
}

/* What another version noted beside it is still there when this one has added and removed entries. */
static void test_failed_list_keeps_what_it_does_not_know(void **state)
{
    _cleanup_(freep) char *text = NULL;

    (void) state;
    agent_root_write(
        AGENT_STATE_DIR "/updates-failed.json",
        "{\"failed\":[{\"digest\":\"sha256:a\",\"later\":[1]},7,{\"digest\":\"sha256:b\",\"times\":\"x\"}],"
        "\"more\":{\"than\":\"this\"}}");
    add_failed("sha256:c", "8", "prove.died");
    assert_int_equal(failed_forget("sha256:b", NULL), 0);
    text = agent_root_read(AGENT_STATE_DIR "/updates-failed.json");
    assert_string_equal(text,
                        "{\"failed\":[{\"service\":\"web\",\"digest\":\"sha256:c\",\"imageId\":\"8\",\"error\":{\"id\":"
                        "\"prove.died\"},\"times\":1},{\"digest\":\"sha256:a\",\"later\":[1]}],\"more\":{\"than\":"
                        "\"this\"}}");
    agent_root_write(AGENT_STATE_DIR "/updates-failed.json", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_too_many_dependencies),
        cmocka_unit_test(test_lists_and_hooks),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_image_age),
        cmocka_unit_test(test_failed_images),
        cmocka_unit_test(test_unconfirmed_images),
        cmocka_unit_test(test_failed_list_is_bounded_and_forgiving),
        cmocka_unit_test(test_failed_list_keeps_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

/* SPDX-License-Identifier: MIT */
/* Podman's answers: the end of a pull, the frames of a log, the list of containers. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "mgmt-agent/worker/podman/podman-answer.h"

static void test_pull(void **state)
{
    static const struct {
        const char *body, *id, *says; /* NULL id: it failed, and says this */
    } cases[] = {
        { "{\"stream\":\"Trying to pull\"}\n{\"images\":[\"ab\"],\"id\":\"ab\"}\n", "ab", NULL },
        { "{\"id\":\"ab\"}", "ab", NULL },
        { "{\"id\":\"ab\"}\n{\"id\":\"cd\"}\n", "cd", NULL },
        { "{\"id\":\"ab\",\"error\":\"\"}\n", "ab", NULL },
        { "not json\n\n{\"id\":\"ab\"}\n", "ab", NULL },
        { "{\"error\":\"manifest unknown\"}\n", NULL, "manifest unknown" },
        { "{\"id\":\"ab\"}\n{\"error\":\"disk full\"}\n", NULL, "disk full" },
        { "", NULL, "named no image" },
        { "\n\n", NULL, "named no image" },
        { "{\"id\":\"\"}\n", NULL, "named no image" },
        { "{\"id\":7}\n{\"error\":7}\n", NULL, "named no image" },
        { "{\"id\":\"ab\"", NULL, "named no image" },
        { "[{\"id\":\"ab\"}]", NULL, "named no image" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *id = NULL;
        _cleanup_(error_done) Error err = {};
        int r = podman_answer_pull(cases[i].body, strlen(cases[i].body), "shop/web:1", &id, &err);

        if ((r == 0) != (cases[i].id != NULL) || !str_equal(id, cases[i].id))
            fail_msg("%s: %d %s", cases[i].body, r, id ? id : "");
        if (r < 0) {
            assert_string_equal(error_id(&err), "pull.failed");
            assert_non_null(strstr(error_message(&err, r), cases[i].says));
            assert_non_null(strstr(error_message(&err, r), "shop/web:1"));
        }
    }
}

#define HEAD(stream, n) stream "\0\0\0\0\0\0" n

static void test_log(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        const char *text;
    } cases[] = {
        { "", 0, "" },
        { NULL, 0, "" },
        { HEAD("\1", "\3") "abc", 11, "abc" },
        { HEAD("\1", "\3") "abc" HEAD("\2", "\2") "de", 21, "abcde" },
        { HEAD("\1", "\0") HEAD("\2", "\1") "x", 17, "x" },
        { HEAD("\1", "\7") "abc", 11, "abc" }, /* cut off by podman's end */
        { "\1\0\0\0\xff\xff\xff\xff"
          "abc",
          11, "abc" }, /* more than there is */
        { HEAD("\1", "\3") "abc"
                           "\2\0\0",
          14, "abc" }, /* half a header */
        { "abc", 3, "" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = podman_answer_log(cases[i].body, cases[i].len);

        if (!str_equal(text, cases[i].text))
            fail_msg("case %zu: '%s' instead of '%s'", i, text ? text : "(null)", cases[i].text);
    }
}

static void test_containers(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *list = json_of(
        "[{\"Id\":\"1\",\"Names\":[\"box_web_1\"],\"ImageID\":\"i\",\"State\":\"running\",\"ExitCode\":0,\"Labels\":{"
        "\"io.podman.compose.project\":\"box\",\"io.tucomunidad.service\":\"web\",\"com.docker.compose.service\":\"x\"}"
        "},"
        "{\"Id\":\"2\",\"Names\":[\"box_old_1\",\"alias\"],\"State\":\"exited\",\"ExitCode\":137,\"Labels\":{"
        "\"io.podman.compose.project\":\"box\",\"com.docker.compose.service\":\"old\"}},"
        "{\"Id\":\"3\",\"Labels\":{\"io.podman.compose.project\":\"other\",\"com.docker.compose.service\":\"web\"}},"
        "{\"Id\":\"4\",\"Names\":null,\"Labels\":null,\"ExitCode\":\"x\"}]");
    static const char *const services[] = { "web", "old", NULL, NULL };
    ObservedContainer *all = NULL;
    size_t n = 0;

    (void) state;
    assert_int_equal(podman_answer_containers(list, "box", &all, &n, NULL), 0);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        if (!str_equal(all[i].service, services[i]))
            fail_msg("container %s is of service %s", all[i].id, all[i].service ? all[i].service : "(none)");
    assert_string_equal(all[1].name, "box_old_1");
    assert_int_equal(all[1].exit_code, 137);
    assert_string_equal(all[3].name, "");
    assert_int_equal(all[3].exit_code, 0);
    observed_free_all(all, n);
}

static void test_no_list_of_containers(void **state)
{
    static const char *const nonsense[] = {
        "{}", "null", "7", "[7]", "[{}]", "[{\"Id\":\"\"}]", "[{\"Id\":\"1\"},{\"Id\":2}]", "{\"a\":{\"Id\":\"1\"}}"
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
        _cleanup_(cJSON_Deletep) cJSON *list = json_of(nonsense[i]);
        _cleanup_(error_done) Error err = {};
        ObservedContainer *all = NULL;
        size_t n = 99;

        if (podman_answer_containers(list, "box", &all, &n, &err) != -EIO)
            fail_msg("taken for a list of containers: %s", nonsense[i]);
        assert_string_equal(error_id(&err), "podman.refused");
        assert_true(!all && n == 99);
    }
}

static void test_digests_of_an_image(void **state)
{
    static const struct {
        const char *info, *id, *digest, *names; /* NULL id: refused */
    } cases[] = {
        { "{\"Id\":\"sha256:ab\",\"Digest\":\"sha256:cd\",\"RepoDigests\":[\"a@1\",\"b@2\"]}", "ab", "sha256:cd",
          "a@1,b@2" },
        { "{\"Id\":\"ab\",\"Digest\":\"\",\"RepoDigests\":[]}", "ab", NULL, "" },
        { "{\"Id\":\"ab\",\"RepoDigests\":null}", "ab", NULL, "" },
        { "{\"Id\":\"ab\",\"Digest\":7,\"RepoDigests\":[7,\"a@1\",{}]}", "ab", NULL, "a@1" },
        { "{\"Id\":\"\"}", NULL, NULL, NULL },
        { "{}", NULL, NULL, NULL },
        { "[]", NULL, NULL, NULL },
        { "7", NULL, NULL, NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *info = cJSON_Parse(cases[i].info);
        _cleanup_(local_image_done) LocalImage image = {};
        _cleanup_(error_done) Error err = {};
        int r = podman_answer_image(info, &image, &err);

        assert_int_equal(r, cases[i].id ? 0 : -EIO);
        assert_true(str_equal(image.id, cases[i].id) && str_equal(image.digest, cases[i].digest));
        if (r < 0) {
            assert_string_equal(error_id(&err), "podman.refused");
        } else {
            _cleanup_(freep) char *names = strv_join(image.repo_digests, ",");

            assert_string_equal(names ? names : "", cases[i].names);
        }
    }
}

static void test_a_stop_that_was_cut_short(void **state)
{
    static const struct {
        const char *info;
        unsigned grace;
        bool stopping;
    } cases[] = {
        { "{\"Id\":\"ab\",\"State\":{\"Status\":\"stopping\"},\"Config\":{\"StopTimeout\":600}}", 600, true },
        { "{\"Id\":\"ab\",\"State\":{\"Status\":\"stopping\"},\"Config\":{\"StopTimeout\":0}}", 0, true },
        { "{\"Id\":\"ab\",\"State\":{\"Status\":\"stopping\"},\"Config\":{\"StopTimeout\":-1}}", 10, true },
        { "{\"Id\":\"ab\",\"State\":{\"Status\":\"stopping\"},\"Config\":{\"StopTimeout\":1e99}}", 10, true },
        { "{\"Id\":\"ab\",\"State\":{\"Status\":\"stopping\"}}", 10, true },
        { "{\"Id\":\"ab\",\"State\":{\"Status\":\"running\"},\"Config\":{\"StopTimeout\":600}}", 0, false },
        { "{\"State\":{\"Status\":\"stopping\"}}", 0, false },
        { "{\"Id\":\"ab\"}", 0, false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *info = cJSON_Parse(cases[i].info);
        StopRequest stop = {};

        if (podman_answer_stopping(info, &stop) != cases[i].stopping || stop.grace_seconds != cases[i].grace)
            fail_msg("%s: %u", cases[i].info, stop.grace_seconds);
        assert_true(!cases[i].stopping || str_equal(stop.id, "ab"));
    }
    assert_false(podman_answer_stopping(NULL, &(StopRequest) {}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_no_list_of_containers),
        cmocka_unit_test(test_a_stop_that_was_cut_short),
        cmocka_unit_test(test_digests_of_an_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

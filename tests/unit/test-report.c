/* SPDX-License-Identifier: MIT */
/* What the command lines show: tables, status, live progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/cli/cli.h"
#include "lib/cli/progress.h"
#include "lib/cli/report.h"

static cJSON *parse(const char *text)
{
    cJSON *value = NULL;
    _cleanup_(error_done) Error err = {};
    int r = json_parse(text, strlen(text), &value, &err);
    if (r < 0)
        fail_msg("%s: %s", text, error_message(&err, r));
    return value;
}

typedef char *(*report_t)(const cJSON *);

static void check(report_t report, const char *json, const char *want)
{
    _cleanup_(cJSON_Deletep) cJSON *value = json ? parse(json) : NULL;
    _cleanup_(freep) char *text = report(value);
    assert_non_null(text);
    assert_string_equal(text, want);
}

static char *member_version(const cJSON *object)
{
    char *text = report_member(object, "version");
    return text ? text : strdup("NULL");
}

static void test_members(void **state)
{
    (void) state;
    check(member_version, "{\"version\":\"42\"}", "42");
    check(member_version, "{\"version\":42}", "42");
    check(member_version, "{\"version\":null}", "NULL");
    check(member_version, "{\"version\":{}}", "NULL");
    check(member_version, "[]", "NULL");
    check(member_version, NULL, "NULL");
}

static void test_errors(void **state)
{
    (void) state;
    check(report_error, "{\"id\":\"a.b\",\"message\":\"bad\",\"file\":\"c.yml\",\"line\":7,\"key\":\"k\"}",
          "c.yml:7: bad [a.b] (k)");
    check(report_error, "{\"id\":\"a.b\",\"message\":\"\\u001b[2Jbad\"}", "?[2Jbad [a.b]");
    check(report_error, "{}", "no reason was given");
    check(report_error, "{\"line\":-4,\"file\":\"f\",\"message\":5}", "f: no reason was given");
    check(report_error, NULL, "no reason was given");
}

static void test_plan(void **state)
{
    (void) state;
    check(
        report_plan,
        "{\"changes\":1,\"steps\":[{\"service\":\"secbox\",\"action\":\"replace\",\"container\":\"secbox\",\"reason\":"
        "\"image "
        "changed\",\"engine\":\"libpod\"},{\"service\":\"relay\",\"action\":\"keep\",\"container\":\"relay\"}]}",
        "SERVICE  ACTION   CONTAINER  ENGINE  REASON\n"
        "secbox   replace  secbox     libpod  image changed\n"
        "relay    keep     relay      -       -\n"
        "1 of 2 would change\n");
    check(report_plan, "{\"changes\":0,\"steps\":[]}", "nothing would change\n");
    check(report_plan,
          "{\"changes\":0,\"steps\":[],\"variables\":[{\"name\":\"TAG\",\"from\":\"secbox.env\"},{\"name\":\"PG\"},"
          "{\"name\":\"X\",\"from\":\"default\"},{\"name\":\"Y\\u001b\",\"from\":\"db/.env\"}]}",
          "variables: TAG from secbox.env, X from the file's default, Y? from db/.env\nnothing would change\n");
    check(report_plan,
          "{\"changes\":0,\"steps\":[],\"files\":[{\"path\":\"web/a.conf\",\"change\":\"changed\"},"
          "{\"path\":\"b\\u001b\",\"change\":\"added\"},{\"path\":\"c\"},7],\"moreFiles\":3}",
          "file web/a.conf: changed\nfile b?: added\nand 3 files more\nnothing would change\n");
    check(report_plan, "{}", "nothing would change\n");
}

static void test_history(void **state)
{
    (void) state;
    check(report_history, "[]", "no push yet\n");
    check(report_history,
          "[{\"version\":\"3\",\"at\":\"T\",\"outcome\":\"rolled-back\",\"status\":500,\"phase\":\"prove\",\"seconds\":"
          "12.34,"
          "\"error\":{\"id\":\"prove.unhealthy\",\"message\":\"secbox is unhealthy\"}},"
          "{\"version\":\"2\",\"createdAt\":\"S\",\"reason\":\"try\",\"result\":null},"
          "{\"version\":\"9\",\"createdAt\":\"2026-01-02T03:04:05.000Z\",\"finishedAt\":\"2026-01-02T03:04:15.500Z\","
          "\"state\":"
          "\"unknown\",\"status\":500,\"phase\":\"pull\"},"
          "{\"version\":\"1\",\"result\":{\"version\":\"1\",\"at\":\"R\",\"outcome\":\"done\",\"noop\":true,\"status\":"
          "200,"
          "\"phase\":\"done\",\"seconds\":0}},"
          "{\"version\":\"7\",\"createdAt\":\"Q\",\"image\":\"web:1\",\"digest\":\"sha256:0123456789abcdef\","
          "\"reason\":\"new\"},"
          "{\"version\":\"8\",\"createdAt\":\"P\",\"kind\":\"rollback\",\"target\":\"6\",\"reason\":\"door\"},"
          "{\"version\":\"local-1\",\"at\":\"O\",\"kind\":\"rollback\",\"local\":true,\"outcome\":\"done\",\"status\":"
          "200},"
          "{\"version\":\"local-2\",\"at\":\"N\",\"kind\":\"update\",\"local\":true,\"outcome\":\"done\"},"
          "{\"version\":\"local-3\",\"at\":\"M\",\"local\":true,\"outcome\":\"done\"}]",
          "VERSION  AT                        OUTCOME           STATUS  PHASE  SECONDS  WHY\n"
          "3        T                         rolled-back       500     prove  12.3     secbox is unhealthy "
          "[prove.unhealthy]\n"
          "2        S                         running           -       -      -        try\n"
          "9        2026-01-02T03:04:15.500Z  unknown           500     pull   10.5     -\n"
          "1        R                         done (no change)  200     done   0.0      -\n"
          "7        Q                         running           -       -      -        web:1 to sha256:0123456789ab: "
          "new\n"
          "8        P                         running           -       -      -        back to 6: door\n"
          "local-1  O                         done              200     -      -        back, on the box\n"
          "local-2  N                         done              -       -      -        update, on the box\n"
          "local-3  M                         done              -       -      -        on the box\n");
}

static void test_result_line(void **state)
{
    (void) state;
    check(report_result_line, NULL, "none yet");
    check(report_result_line, "null", "none yet");
    check(report_result_line, "{\"version\":\"4\",\"status\":200,\"outcome\":\"done\",\"phase\":\"done\"}",
          "version 4: done, 200");
    check(report_result_line,
          "{\"version\":\"4\",\"status\":422,\"outcome\":\"failed\",\"phase\":\"policy\",\"error\":{\"message\":\"no\","
          "\"id\":\"policy.refused\"}}",
          "version 4: failed, 422 in phase policy: no [policy.refused]");
    check(
        report_result_line,
        "{\"version\":\"local-4\",\"status\":500,\"outcome\":\"rolled-back\",\"phase\":\"rolled-back\",\"failedPhase\":"
        "\"prove\"}",
        "version local-4: rolled-back, 500 in phase prove");
    check(report_result_line,
          "{\"version\":\"4\",\"status\":200,\"outcome\":\"done\",\"phase\":\"done\",\"noop\":true}",
          "version 4: done (no change), 200");
    check(report_result_line, "{}", "version -: -, -");
}

static char *services_only(const cJSON *status)
{
    _cleanup_(freep) char *text = report_status(status);
    const char *services = text ? strstr(text, "\n\n") : NULL;

    return services ? strdup(services + 2) : NULL;
}

static void test_status(void **state)
{
    (void) state;
    check(report_status,
          "{\"agent\":{\"version\":\"0.1.0\",\"pid\":7,\"startedAt\":\"S\"},\"deviceId\":\"caseta5\",\"podmanUser\":"
          "\"tc\","
          "\"podman\":{\"version\":\"4.3.1\"},\"podmanCompose\":{\"version\":\"1.0.3\",\"strategy\":\"classic\"},"
          "\"link\":{\"connected\":true,\"since\":\"L\",\"gateway\":\"wss://g/mgmt\",\"tokenExpiresAt\":\"E\"},"
          "\"current\":{\"version\":\"42\",\"sha256\":\"0123456789abcdef\",\"at\":\"C\"},"
          "\"pending\":{\"id\":\"d\",\"version\":\"43\",\"phase\":\"confirm\"},\"last\":null,"
          "\"services\":[{\"name\":\"secbox\",\"container\":\"secbox\",\"id\":\"i\",\"image\":\"img\",\"state\":"
          "\"running\","
          "\"health\":\"healthy\"}],\"env\":{\"ok\":true}}",
          "device          caseta5\n"
          "agent           0.1.0, pid 7, since S\n"
          "podman          4.3.1, as user tc\n"
          "podman-compose  1.0.3, strategy classic\n"
          "tunnel          connected to wss://g/mgmt since L\n"
          "token           good until E\n"
          "env files       ok\n"
          "current         version 42 since C, sha256 0123456789ab\n"
          "pending         version 43, in phase confirm\n"
          "last push       none yet\n"
          "\n"
          "SERVICE  STATE    HEALTH   RESTARTS  EXIT  SINCE  CONTAINER  IMAGE\n"
          "secbox   running  healthy  -         -     -      secbox     img\n");
    check(report_status,
          "{\"last\":{\"version\":\"2\",\"kind\":\"update\",\"outcome\":\"failed\",\"status\":500},\"pending\":{"
          "\"phase\":\"revive\"},"
          "\"services\":[{\"name\":\"web\",\"state\":\"exited\",\"restarts\":2,\"exitCode\":143,\"container\":\"c\"},"
          "{\"name\":\"db\",\"state\":\"running\",\"restarts\":9}],"
          "\"watched\":[{\"name\":\"web\",\"state\":\"stopped by hand\",\"since\":\"S\"},"
          "{\"name\":\"db\",\"state\":\"restarting\",\"since\":\"T\",\"trouble\":{\"restarts\":12,\"exitCode\":7}},"
          "{\"name\":\"gone\",\"state\":\"down\",\"since\":\"U\"}]}",
          "device          -\n"
          "agent           -, pid -, since -\n"
          "podman          -, as user -\n"
          "podman-compose  -, strategy -\n"
          "tunnel          not connected to -: mgmt-link has not said why\n"
          "env files       no reason was given\n"
          "current         nothing: no push has succeeded yet\n"
          "pending         a change is under way: revive\n"
          "last update     version 2: failed, 500\n"
          "\n"
          "SERVICE  STATE                     HEALTH  RESTARTS  EXIT  SINCE  CONTAINER  IMAGE\n"
          "web      exited (stopped by hand)  -       2         143   S      c          -\n"
          "db       running (restarting)      -       12        7     T      -          -\n"
          "gone     - (down)                  -       -         -     U      -          -\n");
    check(
        report_status,
        "{\"link\":{\"connected\":false,\"error\":\"refused\"},\"env\":{\"ok\":false,\"error\":{\"id\":\"env.missing\","
        "\"message\":\"no file\",\"file\":\"s.env\"}},\"error\":{\"id\":\"podman.timeout\",\"message\":\"podman "
        "hangs\"}}",
        "device          -\n"
        "agent           -, pid -, since -\n"
        "podman          -, as user -\n"
        "podman-compose  -, strategy -\n"
        "tunnel          not connected to -: refused\n"
        "env files       s.env: no file [env.missing]\n"
        "current         nothing was pushed yet\n"
        "last push       none yet\n"
        "containers      podman hangs [podman.timeout]\n"
        "\n"
        "which services run is not known\n");
    check(services_only, "{\"services\":[]}", "no services run\n");
}

/* Shows the events, then the result (may be NULL); returns what was printed. */
static char *show(bool json, const char *const *events, const char *result, int *ret_code)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ProgressView view;

    assert_non_null(out);
    progress_start(&view, out, json);
    for (; *events; events++) {
        _cleanup_(cJSON_Deletep) cJSON *event = parse(*events);
        progress_event(&view, event);
    }
    if (result) {
        _cleanup_(cJSON_Deletep) cJSON *value = parse(result);
        *ret_code = progress_result(&view, value);
    }
    progress_stop(&view);
    assert_int_equal(fclose(out), 0);
    return text;
}

#define EVENT(seq, phase, state, second, more)                                                                         \
    "{\"seq\":" #seq ",\"phase\":\"" phase "\",\"state\":\"" state "\",\"at\":\"2026-01-02T03:04:" second              \
    ".000Z\"" more "}"

static void test_progress_done(void **state)
{
    static const char *const events[] = {
        EVENT(1, "parse", "started", "05", ""),
        EVENT(2, "parse", "done", "05", ""),
        EVENT(3, "pull", "started", "06", ""),
        EVENT(4, "pull", "info", "07", ",\"service\":\"secbox\",\"message\":\"half\\u001b way\""),
        EVENT(4, "pull", "info", "07", ",\"message\":\"the same event again\""),
        EVENT(5, "pull", "done", "18", ",\"message\":\"one image\""),
        EVENT(6, "apply", "started", "19", ""),
        EVENT(7, "prove", "started", "20", ""),
        EVENT(8, "done", "started", "25", ""),
        NULL,
    };
    int code = -1;

    (void) state;
    _cleanup_(freep) char *text = show(
        false, events,
        "{\"version\":\"8\",\"status\":200,\"outcome\":\"done\",\"phase\":\"done\",\"seconds\":20.5,\"at\":"
        "\"2026-01-02T03:04:25.500Z\",\"services\":[{\"name\":\"secbox\",\"action\":\"replace\",\"image\":\"img:2\"},"
        "{\"name\":\"relay\",\"action\":\"keep\",\"image\":\"r\"}]}",
        &code);
    assert_int_equal(code, EXIT_OK);
    assert_string_equal(text, "  parse                    ok         0.0 s\n"
                              "    secbox: half? way\n"
                              "  pull                     ok        12.0 s  one image\n"
                              "  apply                    ok         1.0 s\n"
                              "  prove                    ok         5.0 s\n"
                              "version 8: done, 200 (20.5 s)\n"
                              "  secbox                   replace  img:2\n");
}

static void test_progress_failed(void **state)
{
    static const char *const events[] = {
        EVENT(1, "prove", "started", "05", ""),
        EVENT(2, "prove", "info", "34", ",\"service\":\"secbox\",\"message\":\"last lines:\\none\\n\\nt\\u001bwo\\n\""),
        EVENT(3, "prove", "failed", "35", ",\"message\":\"secbox is unhealthy\""),
        EVENT(4, "rolling-back", "started", "36", ""),
        NULL,
    };
    int code = -1;

    (void) state;
    _cleanup_(freep) char *text =
        show(false, events,
             "{\"version\":\"8\",\"status\":500,\"outcome\":\"rolled-back\",\"phase\":\"rolled-back\",\"failedPhase\":"
             "\"prove\","
             "\"at\":\"2026-01-02T03:04:38.000Z\",\"error\":{\"id\":\"prove.unhealthy\",\"message\":"
             "\"secbox is unhealthy\",\"service\":\"secbox\",\"log\":[\"first\",\"second\\u0007\"]}}",
             &code);
    assert_int_equal(code, EXIT_FAILED);
    assert_string_equal(text, "    secbox: last lines:\n"
                              "      | one\n"
                              "      | \n"
                              "      | t?wo\n"
                              "  prove                    failed    30.0 s  secbox is unhealthy\n"
                              "  rolling-back             ok         2.0 s\n"
                              "version 8: rolled-back, 500 in phase prove: secbox is unhealthy [prove.unhealthy]\n"
                              "  all is as it was: the box runs what it ran before\n"
                              "  last lines of secbox:\n"
                              "    | first\n"
                              "    | second?\n");
}

/* The deadline of a phase ends it without a word of its own. */
static void test_progress_of_a_phase_that_ends_in_a_rollback(void **state)
{
    static const char *const events[] = {
        EVENT(1, "confirm", "started", "05", ""),
        EVENT(2, "rolling-back", "started", "25", ""),
        NULL,
    };
    int code = -1;

    (void) state;
    _cleanup_(freep) char *text =
        show(false, events,
             "{\"version\":\"8\",\"status\":500,\"outcome\":\"rolled-back\",\"failedPhase\":\"confirm\",\"at\":"
             "\"2026-01-02T03:04:26.000Z\"}",
             &code);
    assert_int_equal(code, EXIT_FAILED);
    assert_non_null(strstr(text, "  confirm                  failed    20.0 s\n"
                                 "  rolling-back             ok         1.0 s\n"));
}

static void test_progress_json(void **state)
{
    static const char *const events[] = { "{\"seq\":1,\"phase\":\"parse\"}", "{\"seq\":1,\"phase\":\"parse\"}",
                                          "{\"seq\":\"2\",\"phase\":\"pull\"}", NULL };
    int code = -1;

    (void) state;
    _cleanup_(freep) char *text = show(true, events, "{\"status\":409}", &code);
    assert_int_equal(code, EXIT_FAILED);
    assert_string_equal(text,
                        "{\"seq\":1,\"phase\":\"parse\"}\n{\"seq\":\"2\",\"phase\":\"pull\"}\n{\"status\":409}\n");
}

static void test_progress_odd(void **state)
{
    static const char *const events[] = { "{}", "{\"state\":\"done\"}", "{\"phase\":\"parse\",\"at\":\"yesterday\"}",
                                          "{\"seq\":-1,\"state\":\"info\",\"message\":7}", NULL };
    int code = -1;

    (void) state;
    _cleanup_(freep) char *text = show(false, events, "{\"services\":7,\"error\":[]}", &code);
    assert_int_equal(code, EXIT_FAILED);
    assert_non_null(strstr(text, "parse"));
    assert_non_null(strstr(text, "version -: -, -"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_result_line),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_progress_done),
        cmocka_unit_test(test_progress_failed),
        cmocka_unit_test(test_progress_json),
        cmocka_unit_test(test_progress_odd),
        cmocka_unit_test(test_progress_of_a_phase_that_ends_in_a_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What doctors print: the same document, table and exit code, whoever found it and wherever it is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cli/cli.h"
#include "lib/cli/finding.h"
#include "lib/cli/report.h"

static cJSON *document(void)
{
    cJSON *findings = findings_new();
    _cleanup_(finding_done) Finding f = {};

    finding_pass(&f, "%s runs", "it");
    assert_int_equal(findings_add(findings, "one", &f, "box"), 0);
    finding_set(&f, VERDICT_FAIL, "Then wait.", "%d are down", 2);
    finding_remedy(&f, "systemctl start %s", "it");
    f.since = 1767323045 * USEC_PER_SEC;
    assert_int_equal(findings_add(findings, "two", &f, "box"), 0);
    finding_set(&f, VERDICT_FAIL, NULL, "blocked");
    f.by_operator = true;
    finding_remedy(&f, "secbox-fleet devices unblock it");
    assert_int_equal(findings_add(findings, "three", &f, "box"), 0);
    assert_int_equal(findings_count(findings), 0);
    return findings;
}

static void test_document(void **state)
{
    (void) state;
    _cleanup_(cJSON_Deletep) cJSON *findings = document();
    _cleanup_(freep) char *text = json_print(findings);

    assert_string_equal(
        text, "{\"checks\":[{\"id\":\"one\",\"result\":\"pass\",\"detail\":\"it runs\"},"
              "{\"id\":\"two\",\"result\":\"fail\",\"detail\":\"2 are down\",\"advice\":\"Run `systemctl start it`. "
              "Then wait.\","
              "\"remedy\":\"systemctl start it\",\"remedyFor\":\"box\",\"since\":\"2026-01-02T03:04:05.000Z\"},"
              "{\"id\":\"three\",\"result\":\"fail\",\"detail\":\"blocked\","
              "\"advice\":\"On the operator's machine, run `secbox-fleet devices unblock it`.\","
              "\"remedy\":\"secbox-fleet devices unblock it\",\"remedyFor\":\"operator\"}],"
              "\"passed\":1,\"failed\":2,\"unknown\":0}");
}

static void test_table(void **state)
{
    (void) state;
    _cleanup_(cJSON_Deletep) cJSON *findings = document();
    _cleanup_(freep) char *text = findings_text(findings, "CHECK");

    assert_string_equal(
        text, "CHECK  RESULT  WHAT, AND WHAT TO DO\n"
              "one    pass    it runs\n"
              "two    fail    2 are down, since 2026-01-02T03:04:05.000Z. Run `systemctl start it`. Then wait.\n"
              "three  fail    blocked. On the operator's machine, run `secbox-fleet devices unblock it`.\n"
              "1 passed, 2 failed, 0 unknown\n");
}

/* What a check has seen may come from a disk or from a process's name. */
static void test_what_is_not_utf8(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *findings = findings_new();
    _cleanup_(finding_done) Finding f = {};

    (void) state;
    finding_set(&f, VERDICT_FAIL, "Rename \xff.", "file \xff\033 is there");
    finding_remedy(&f, "rm \xff");
    assert_int_equal(findings_add(findings, "one", &f, "box"), 0);
    _cleanup_(freep) char *text = report_json_line(findings);
    assert_non_null(text);
    assert_string_equal(text, "{\"checks\":[{\"id\":\"one\",\"result\":\"fail\",\"detail\":\"file ?? is there\","
                              "\"advice\":\"Rename ?.\"}]}");
}

/* A box may send anything: what counts is what its checks say, not how many it says that there are. */
static void test_a_document_from_elsewhere(void **state)
{
    static const struct {
        const char *json;
        int exit_code;
    } cases[] = {
        { "{\"checks\":[{\"id\":\"a\",\"result\":\"pass\"}],\"failed\":7}", EXIT_OK },
        { "{\"checks\":[{\"id\":\"a\",\"result\":\"unknown\",\"detail\":\"\\u001b[2J\"},7,null]}", EXIT_UNREACHABLE },
        { "{\"checks\":[{\"id\":\"a\",\"result\":\"unknown\"},{\"result\":\"fail\"}]}", EXIT_FAILED },
        { "{}", EXIT_OK },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *findings = NULL;

        assert_int_equal(json_parse_object(cases[i].json, strlen(cases[i].json), &findings, NULL), 0);
        assert_int_equal(findings_exit_code(findings), cases[i].exit_code);
        _cleanup_(freep) char *text = findings_text(findings, "CHECK");
        assert_non_null(text);
        assert_null(strchr(text, '\033'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_what_is_not_utf8),
        cmocka_unit_test(test_a_document_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

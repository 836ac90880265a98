/* SPDX-License-Identifier: MIT */
/* Lines of the log as they leave: secrets hidden in text and fields, one line each, whole on their way through a parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"

static char shown[8192];
static int real_stderr = -1, pipe_end = -1;

static void capture(void)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    close(fds[1]);
    pipe_end = fds[0];
}

static const char *captured(void)
{
    size_t len = 0;
    ssize_t n;

    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    while ((n = read(pipe_end, shown + len, sizeof(shown) - 1 - len)) > 0)
        len += (size_t) n;
    close(pipe_end);
    shown[len] = '\0';
    return shown;
}

static int teardown(void **state)
{
    (void) state;
    redact_forget_all();
    log_set_field("DEVICE", NULL);
    unsetenv(LOG_RELAY_VARIABLE);
    log_open("test-log");
    return 0;
}

static void test_fields_are_redacted(void **state)
{
    const LogField fields[] = { { "URL", "https://user:pw@host/x" }, { "REASON", "for s3cr3t-value" }, {} };

    (void) state;
    redact_add_secret("s3cr3t-value");
    log_set_field("DEVICE", "box s3cr3t-value");
    log_open("test-log");
    capture();
    log_line(LOG_LEVEL_INFO, fields, "said s3cr3t-value");
    const char *line = captured();
    assert_null(strstr(line, "s3cr3t"));
    assert_null(strstr(line, "user:pw"));
    assert_non_null(strstr(line, "said (hidden) URL=https://(hidden)@host/x REASON=for (hidden)\n"));
}

static void test_one_event_is_one_harmless_line(void **state)
{
    const LogField fields[] = { { "REASON", "a\nb \xc2\x9b"
                                            "31m" },
                                {} };

    (void) state;
    log_open("test-log");
    capture();
    log_line(LOG_LEVEL_ERROR, fields, "two\nlines \033[31m \x7f \xe2\x80\xae");
    const char *line = captured();
    assert_non_null(strstr(line, " test-log error: two lines ?[31m ? ? REASON=a b ?31m\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* What a child of ours logs comes out as if the parent had logged it: severity and fields whole, the time once. */
static void test_relay(void **state)
{
    const LogField fields[] = { { "SERVICE", "web=1 \x1f x" }, { "EMPTY", "" }, {} };
    _cleanup_(freep) char *line = NULL;

    (void) state;
    setenv(LOG_RELAY_VARIABLE, "1", 1);
    log_open("child");
    log_set_field("DEVICE", "box");
    capture();
    log_line(LOG_LEVEL_ERROR, fields, "it broke");
    line = strdup(captured());
    assert_non_null(line);
    log_set_field("DEVICE", NULL);
    unsetenv(LOG_RELAY_VARIABLE);
    assert_int_equal(line[strlen(line) - 1], '\n');
    line[strlen(line) - 1] = '\0';
    assert_int_equal(strncmp(line, "<3>it broke\x1f", 12), 0);

    log_open("parent");
    capture();
    log_relay("worker", line);
    const char *out = captured();
    assert_non_null(strstr(out, "Z parent error: it broke DEVICE=box SERVICE=web=1 ? x EMPTY=\n"));
    assert_null(strstr(out, "child"));
}

static void test_relay_of_other_lines(void **state)
{
    static const char *const lines[] = { "free(): invalid pointer",
                                         "<9>x",
                                         "<3",
                                         "<",
                                         "",
                                         "<3>",
                                         "<3>x\x1f",
                                         "<3>x\x1f=v",
                                         "<3>x\x1f"
                                         "A",
                                         "<3>x\x1f"
                                         "a=b" };

    (void) state;
    log_open("parent");
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        capture();
        log_relay("worker", lines[i]);
        const char *out = captured();
        if (i < 5)
            assert_non_null(strstr(out, "parent warning: worker:"));
        else
            assert_non_null(strstr(out, "parent error: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_fields_are_redacted, teardown),
        cmocka_unit_test_teardown(test_one_event_is_one_harmless_line, teardown),
        cmocka_unit_test_teardown(test_relay, teardown),
        cmocka_unit_test_teardown(test_relay_of_other_lines, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

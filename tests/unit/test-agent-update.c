/* SPDX-License-Identifier: MIT */
/* What the journal of a package update says, and what the watching agent makes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/agent-update.h"
#include "tests/unit/emulated.h"

#define SEC USEC_PER_SEC
#define BOOT "boot-1"
#define DEADLINE (1000 * SEC)
#define TEXT(state, package, more)                                                                                     \
    "state=" state "\nid=d-44\nnumber=44\npackage=" package "\nfrom=1\nto=2\nnext=\nplan=200\nseconds=300\nboot=" BOOT \
    "\ndeadline=1000000000\nboots=0\n" more

static AgentUpdate parsed(const char *text)
{
    AgentUpdate u;

    assert_int_equal(agent_update_parse(text, strlen(text), &u, NULL), 0);
    return u;
}

static void the_journal_is_read(void **state)
{
    AgentUpdate u =
        parsed(TEXT("proving", "secbox-agent", "tunnel=1\nrecovery=1\nwhy=a reason: with words (and more)\n"));
    AgentUpdate of_before = parsed(TEXT("proving", "secbox-agent", "tunnel=1\n"));

    (void) state;
    assert_int_equal(u.state, AGENT_UPDATE_PROVING);
    assert_string_equal(u.why, "a reason: with words (and more)");
    assert_true(u.recovery && !of_before.recovery);
    agent_update_done(&of_before);
    assert_null(u.next);
    assert_int_equal(u.deadline, DEADLINE);
    assert_true(agent_update_is_proving(&u, AGENT_PACKAGE));
    assert_false(agent_update_is_proving(&u, RECOVERY_PACKAGE));
    agent_update_done(&u);
}

static void a_damaged_one_is_no_update(void **state)
{
    static const char *const texts[] = { "", "state=proving\n", TEXT("dancing", "secbox-agent", ""),
                                         TEXT("proving", "secbox-agent", "state=staged\n"),
                                         TEXT("proving", "secbox-agent", "tunnel=x\n") };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(error_done) Error err = {};
        AgentUpdate u;
        assert_true(agent_update_parse(texts[i], strlen(texts[i]), &u, &err) < 0);
        assert_string_equal(error_id(&err), "agent-update.damaged");
    }
}

static void what_is_judged_and_when(void **state)
{
    static const struct {
        const char *text;
        bool here, far, said;
        const char *boot;
        usec_t up_since, now;
        AgentUpdateVerdict verdict;
    } rows[] = {
        /* the tunnel was up before, and has to come back */
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, true, false, BOOT, 0, 0, AGENT_UPDATE_KEEP },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 1, DEADLINE - 1, AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), false, true, false, BOOT, 1, DEADLINE - 1, AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 1, DEADLINE, AGENT_UPDATE_BACK },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), false, true, false, BOOT, 0, DEADLINE, AGENT_UPDATE_BACK },
        /* it was not: it need not be now */
        { TEXT("proving", "secbox-agent", "tunnel=0\n"), true, false, false, BOOT, 0, 0, AGENT_UPDATE_KEEP },
        /* our own line is down, or has just come up: that says nothing */
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 0, 9 * DEADLINE, AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 8 * DEADLINE,
          8 * DEADLINE + 119 * SEC, AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 8 * DEADLINE,
          8 * DEADLINE + 120 * SEC, AGENT_UPDATE_BACK },
        /* a new boot: the whole time again */
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), false, false, false, "boot-2", 1, 300 * SEC - 1,
          AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), false, false, false, "boot-2", 1, 300 * SEC,
          AGENT_UPDATE_BACK },
        /* what installs it hangs */
        { TEXT("installing", "secbox-agent", ""), true, true, false, BOOT, 1, DEADLINE - 1, AGENT_UPDATE_WAIT },
        { TEXT("installing", "secbox-agent", ""), true, true, false, BOOT, 0, DEADLINE, AGENT_UPDATE_BACK },
        /* over, or another's */
        { TEXT("confirmed", "secbox-agent", ""), false, false, false, BOOT, 1, 9 * DEADLINE, AGENT_UPDATE_WAIT },
        { TEXT("stuck", "secbox-agent", ""), true, true, false, BOOT, 1, 9 * DEADLINE, AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-recovery", ""), true, true, false, BOOT, 1, 9 * DEADLINE, AGENT_UPDATE_WAIT },
        /* nobody can ask the gateway: then its own word counts, but not before its time */
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, true, BOOT, 0, DEADLINE - 1, AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, true, BOOT, 0, DEADLINE, AGENT_UPDATE_KEEP },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), false, false, true, BOOT, 0, DEADLINE, AGENT_UPDATE_BACK },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, true, BOOT, 1, DEADLINE, AGENT_UPDATE_BACK },
        /* no tunnel at all: not for ever */
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 0, DEADLINE + USEC_PER_DAY - 1,
          AGENT_UPDATE_WAIT },
        { TEXT("proving", "secbox-agent", "tunnel=1\n"), true, false, false, BOOT, 0, DEADLINE + USEC_PER_DAY,
          AGENT_UPDATE_BACK },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const AgentUpdateProof proof = { .here = rows[i].here, .far = rows[i].far, .said = rows[i].said };
        AgentUpdate u = parsed(rows[i].text);

        if (agent_update_judge(&u, AGENT_PACKAGE, &proof, rows[i].boot, rows[i].up_since, rows[i].now) !=
            rows[i].verdict)
            fail_msg("row %zu is judged otherwise", i);
        agent_update_done(&u);
    }
}

static void its_own_word_counts_no_more_once_the_gateway_said_otherwise(void **state)
{
    static const struct {
        bool far;
        usec_t up_since, now;
        AgentUpdateVerdict verdict;
    } rows[] = {
        /* whether or not our line is up just now */
        { false, 0, DEADLINE, AGENT_UPDATE_WAIT },
        { false, 0, DEADLINE + USEC_PER_DAY, AGENT_UPDATE_BACK },
        { false, DEADLINE - 120 * SEC, DEADLINE, AGENT_UPDATE_BACK },
        { true, 1, DEADLINE, AGENT_UPDATE_KEEP },
    };
    _cleanup_(agent_update_done) AgentUpdate u = parsed(TEXT("proving", "secbox-agent", "tunnel=1\n"));

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const AgentUpdateProof proof = { .here = true, .far = rows[i].far, .said = true, .denied = true };
        if (agent_update_judge(&u, AGENT_PACKAGE, &proof, BOOT, rows[i].up_since, rows[i].now) != rows[i].verdict)
            fail_msg("row %zu is judged otherwise", i);
    }
}

static void a_proof_is_of_one_update_in_one_boot(void **state)
{
    char folder[] = "/tmp/secbox-agent-update-XXXXXX";
    AgentUpdate u = parsed(TEXT("proving", "secbox-agent", "")), next = parsed(TEXT("proving", "secbox-recovery", ""));

    (void) state;
    assert_non_null(mkdtemp(folder));
    paths_set_root(folder);
    assert_false(agent_update_is_proved_by(&u, "/proof", BOOT));
    assert_int_equal(agent_update_write_proof(&u, "/proof", BOOT, NULL), 0);
    assert_true(agent_update_is_proved_by(&u, "/proof", BOOT));
    assert_false(agent_update_is_proved_by(&u, "/proof", "boot-2"));
    assert_false(agent_update_is_proved_by(&next, "/proof", BOOT));
    agent_update_done(&u);
    agent_update_done(&next);
    _cleanup_(freep) char *proof = path_in_root("/proof");
    assert_int_equal(remove(proof), 0);
    assert_int_equal(remove(folder), 0);
    paths_set_root(NULL);
}

/* dpkg puts another file in the place of the program that runs. Here that is a copy of us, in a process of its own. */
static int prove_after_replacement(const char *folder)
{
    _cleanup_(error_done) Error err = {};
    AgentUpdate u = parsed(TEXT("proving", "secbox-agent", ""));
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[n > 0 ? n : 0] = '\0';
    if (n <= 0 || unlink(self) < 0)
        return 1;
    paths_set_root(folder);
    int r = agent_update_write_proof(&u, "/proof", BOOT, &err);
    bool so = r < 0 && str_equal(error_id(&err), "agent-update.old-program");
    agent_update_done(&u);
    paths_set_root(NULL);
    return so ? 0 : 1;
}

static void the_program_from_before_proves_nothing(void **state)
{
    char folder[] = "/tmp/secbox-agent-update-XXXXXX";
    _cleanup_(freep) char *text = NULL, *copy = NULL;
    size_t len = 0;
    int status = 0;

    (void) state;
    skip_if_emulated("have the kernel start it again");
    assert_non_null(mkdtemp(folder));
    copy = str_format("%s/program", folder);
    assert_non_null(copy);
    assert_int_equal(file_read_followed("/proc/self/exe", SIZE_MAX / 2, &text, &len, NULL), 0);
    assert_int_equal(file_write_atomic(copy, text, len, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl(copy, copy, folder, (char *) NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void only_a_version_is_one(void **state)
{
    static const char *const good[] = { "1", "1.2.0", "1.2.0~dev12+g1a2b3c-1", "2:1.0" };
    static const char *const bad[] = { "", "v1", "-1", "1 2", "1;id", "1=2", "../1", "1\n" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(agent_update_is_version(good[i]));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(agent_update_is_version(bad[i]));
    assert_false(agent_update_is_version(NULL));
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return prove_after_replacement(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_journal_is_read),
        cmocka_unit_test(a_damaged_one_is_no_update),
        cmocka_unit_test(what_is_judged_and_when),
        cmocka_unit_test(its_own_word_counts_no_more_once_the_gateway_said_otherwise),
        cmocka_unit_test(a_proof_is_of_one_update_in_one_boot),
        cmocka_unit_test(the_program_from_before_proves_nothing),
        cmocka_unit_test(only_a_version_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

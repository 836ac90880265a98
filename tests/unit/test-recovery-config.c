/* SPDX-License-Identifier: MIT */
/* The little reader of KEY=VALUE, and what is remembered. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "recovery-agent/recovery-config.h"
#include "recovery-agent/recovery-state.h"

#define GOOD "DEVICE_ID=caseta5\nMGMT_GATEWAY_URL=wss://cloud.example/x/mgmt\n"

static int parse(Config *c, const char *text, Error *err)
{
    int r = settings_init(settings, c);

    assert_int_equal(r, 0);
    r = settings_parse(settings, c, text, strlen(text), "the file", err);
    return r < 0 ? r : config_check(c, err);
}

static void test_good(void **state)
{
    static const char text[] =
        "# comment\n\nCLOUD_BASE_URL=\"not ours, whatever it says\"\n=x\nnonsense\n" GOOD
        "BOOTSTRAP=sbb_=a=b\nRECOVERY_SSH_PORT=2022\nRECOVERY_PROBES=tcp:127.0.0.1:1 banner:[::1]:22\n"
        "RECOVERY_REBOOT=1";
    Config c;
    Error err = {};

    (void) state;
    if (parse(&c, text, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    assert_string_equal(c.device_id, "caseta5");
    assert_string_equal(c.gateway_url, "wss://cloud.example/x/recovery");
    assert_string_equal(c.bootstrap, "sbb_=a=b");
    assert_string_equal(c.probes, "tcp:127.0.0.1:1 banner:[::1]:22");
    assert_int_equal(c.ssh_port, 2022);
    assert_int_equal(c.reboot, 1);
    assert_int_equal(c.failures, 3);
    assert_string_equal(c.heartbeat, "/run/tucomunidad/secbox/heartbeat");
    /* the printed text reads back the same */
    _cleanup_(secret_freep) char *printed = settings_print(settings, &c);
    Config again;
    assert_int_equal(parse(&again, printed, &err), 0);
    _cleanup_(secret_freep) char *twice = settings_print(settings, &again);
    assert_string_equal(printed, twice);
    config_done(&c);
    config_done(&again);
}

static void test_heartbeat_of_each_service(void **state)
{
    static const char *const cases[][2] = {
        { GOOD "RECOVERY_SERVICE=nvr\n", "/run/tucomunidad/services/nvr/heartbeat" },
        { GOOD "RECOVERY_SERVICE=nvr\nRECOVERY_HEARTBEAT=/x/y\n", "/x/y" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Config c;
        assert_int_equal(parse(&c, cases[i][0], NULL), 0);
        assert_string_equal(c.heartbeat, cases[i][1]);
        config_done(&c);
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *text, *id, *key;
        unsigned line;
    } cases[] = {
        { "MGMT_GATEWAY_URL=wss://c/mgmt\n", "config.missing", "DEVICE_ID", 0 },
        { "DEVICE_ID=\nMGMT_GATEWAY_URL=wss://c/mgmt\n", "config.missing", "DEVICE_ID", 0 },
        { "DEVICE_ID=a\n", "config.missing", "RECOVERY_GATEWAY_URL", 0 },
        { "DEVICE_ID=a\nMGMT_GATEWAY_URL=wss://c/other\n", "config.missing", "RECOVERY_GATEWAY_URL", 0 },
        { GOOD "DEVICE_ID=b\n", "settings.duplicate", "DEVICE_ID", 3 },
        { "DEVICE_ID=\"a\"\n", "settings.value", "DEVICE_ID", 1 },
        { "DEVICE_ID=${ID:-x}\n", "settings.value", "DEVICE_ID", 1 },
        { "DEVICE_ID= a\n", "settings.value", "DEVICE_ID", 1 },
        { "DEVICE_ID=a\r\n", "settings.value", "DEVICE_ID", 1 },
        { "DEVICE_ID=\xff\n", "settings.value", "DEVICE_ID", 1 },
        { GOOD "RECOVERY_SSH_PORT=0\n", "settings.value", "RECOVERY_SSH_PORT", 3 },
        { GOOD "RECOVERY_SSH_PORT=65536\n", "settings.value", "RECOVERY_SSH_PORT", 3 },
        { GOOD "RECOVERY_SSH_PORT=\n", "settings.value", "RECOVERY_SSH_PORT", 3 },
        { GOOD "RECOVERY_REBOOT=yes\n", "settings.value", "RECOVERY_REBOOT", 3 },
        { GOOD "CLOUD_CA_FILE=ca.pem\n", "config.value", "RECOVERY_HEARTBEAT", 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Config c;
        Error err = {};
        int r = parse(&c, cases[i].text, &err);
        if (r >= 0 || !str_equal(err.id, cases[i].id) || !str_equal(err.key, cases[i].key) || err.line != cases[i].line)
            fail_msg("case %zu: %s at %u %s", i, error_id(&err), err.line, err.key);
        error_done(&err);
        config_done(&c);
    }
    /* NUL inside a value */
    Config c;
    assert_int_equal(settings_init(settings, &c), 0);
    assert_int_equal(settings_parse(settings, &c, "DEVICE_ID=a\0b\n", 14, "f", NULL), -EINVAL);
    assert_null(c.device_id);
    config_done(&c);
}

/* The man page and the example name every setting that is ours, with its default. */
static void test_documents_name_every_setting(void **state)
{
    _cleanup_(freep) char *page = NULL, *example = NULL;

    (void) state;
    assert_int_equal(file_read("docs/man/recovery-agent.8", 1 << 20, &page, NULL, NULL), 0);
    assert_int_equal(file_read("installer/recovery/recovery.env.example", 1 << 20, &example, NULL, NULL), 0);
    for (const Setting *s = settings; s->key; s++) {
        _cleanup_(freep) char *line = str_format("#%s=%s\n", s->key, s->fallback ? s->fallback : "");
        if (!strstr(page, s->key))
            fail_msg("docs/man/recovery-agent.8 does not name %s", s->key);
        if (str_starts(s->key, "RECOVERY_") && !strstr(example, s->fallback ? line : s->key))
            fail_msg("recovery.env.example lacks %s", line);
    }
    Config c;
    Error err = {};
    _cleanup_(freep) char *both = str_format("%s%s", GOOD, example);
    if (parse(&c, both, &err) < 0)
        fail_msg("recovery.env.example: %s", error_message(&err, -1));
    config_done(&c);
}

static char folder[] = "/tmp/test-recovery-XXXXXX";

static const LadderTime now = { .boottime = 600 * USEC_PER_SEC, .boot_id = "boot-1", .wall = 1767225600 };

static void write_state(const char *name, const char *text)
{
    _cleanup_(freep) char *path = path_join(folder, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static void test_state(void **state)
{
    State s, back;

    (void) state;
    assert_int_equal(state_load(&s, folder, &now, NULL), 0);
    assert_null(s.addresses[0]);
    assert_int_equal(state_note_gateway(&s, "192.0.2.1", 1000000), 1);
    assert_int_equal(state_note_gateway(&s, "192.0.2.1", 1000060), 0); /* not worth a write */
    assert_int_equal(state_note_gateway(&s, "192.0.2.1", 900000), 0);  /* time does not go back */
    assert_int_equal(s.server_time, 1000060);
    assert_int_equal(state_note_gateway(&s, "192.0.2.1", 1000060 + 86400), 1);
    for (unsigned i = 2; i < 8; i++) {
        _cleanup_(freep) char *address = str_format("192.0.2.%u", i);
        assert_int_equal(state_note_gateway(&s, address, 0), 1);
    }
    assert_int_equal(state_note_gateway(&s, "192.0.2.6", 0), 1); /* known: moves to the front */
    s.was_healthy = true;
    budget_spend(&s.budget, STEP_REBOOT, &now);
    _cleanup_(freep) char *text = state_print(&s);
    write_state("state.json", text);
    assert_int_equal(state_load(&back, folder, &now, NULL), 0);
    static const char *const wanted[] = { "192.0.2.6", "192.0.2.7", "192.0.2.5", "192.0.2.4", NULL };
    for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
        assert_true(str_equal(back.addresses[i], wanted[i]));
    assert_int_equal(back.server_time, s.server_time);
    assert_true(back.was_healthy);
    assert_int_equal(budget_left(&back.budget, STEP_REBOOT, &now), 0);
    state_done(&s);
    state_done(&back);
}

static void test_f56_damaged_state_counts_as_spent(void **state)
{
    static const char *const damaged[] = { "", "{", "[]", "{}", "{\"budget\":7}" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        State s;
        Error err = {};
        write_state("state.json", damaged[i]);
        assert_int_equal(state_load(&s, folder, &now, &err), -EIO);
        assert_non_null(err.message);
        assert_int_equal(budget_left(&s.budget, STEP_REBOOT, &now), 0);
        assert_int_equal(budget_left(&s.budget, STEP_RESTART, &now), 0);
        error_done(&err);
        state_done(&s);
    }
}

static void test_kept_configuration(void **state)
{
    State s;
    Config c;
    Error err = {};

    (void) state;
    write_state("state.json", "{\"budget\":[]}");
    assert_int_equal(state_load(&s, folder, &now, NULL), 0);
    assert_int_equal(state_load_config(&s, &c, &err), -ENOENT);
    error_done(&err);
    write_state("config.env", GOOD "CLOUD_CA_FILE=/etc/elsewhere.pem\n");
    assert_int_equal(state_load_config(&s, &c, NULL), 0);
    assert_true(str_starts(c.ca_file, folder));
    assert_true(str_ends(c.ca_file, "/ca.pem"));
    config_done(&c);
    state_done(&s);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void) st;
    (void) kind;
    (void) ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void) state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void) state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_heartbeat_of_each_service),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_documents_name_every_setting),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_f56_damaged_state_counts_as_spent),
        cmocka_unit_test(test_kept_configuration),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

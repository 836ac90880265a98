/* SPDX-License-Identifier: MIT */
/* What a box that is being paired has on its disk, whenever it is killed; and the PIN. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mgmt-agent/agent/pairing-impl.h"
#include "mgmt-agent/agent/pairing-pin.h"

#define CLAIM                                                                                                          \
    "{\"v\":1,\"typ\":\"secbox.claim\",\"deviceId\":\"caseta-5\",\"cloud\":\"https://cloud.example\","                 \
    "\"gw\":\"wss://cloud.example/mgmt\",\"boot\":\"one\",\"exp\":4000000000}"
#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENROLMENT                                                                                                      \
    "{\"v\":1,\"typ\":\"secbox.claim\",\"cloud\":\"https://cloud.example\",\"gw\":\"wss://cloud.example/mgmt\","       \
    "\"boot\":\"sbe_many\",\"exp\":4000000000,\"kfp\":\"" DIGITS "\"}"
#define OTHER                                                                                                          \
    "{\"v\":1,\"typ\":\"secbox.claim\",\"deviceId\":\"caseta-5\",\"cloud\":\"https://cloud.example\","                 \
    "\"gw\":\"wss://cloud.example/mgmt\",\"boot\":\"two\",\"exp\":4000000000}"

/* Files become what they are by these two calls alone: a kill lies before one of them, or behind the last. */
static int changes_left = -1;
/* So many work; then the disk is full. */
static int room_left = -1;

static bool may_change(void)
{
    if (changes_left == 0)
        _exit(42);
    if (changes_left > 0)
        changes_left--;
    if (room_left == 0) {
        errno = ENOSPC;
        return false;
    }
    if (room_left > 0)
        room_left--;
    return true;
}

int rename(const char *from, const char *to)
{
    return may_change() ? (int) syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to) : -1;
}

int unlink(const char *path)
{
    return may_change() ? (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0) : -1;
}

static char *read_env(void)
{
    char *text = NULL;

    assert_int_equal(pairing_env_read(&text, NULL), 0);
    return text;
}

static Pairing *start(Agent *a)
{
    Pairing *p = NULL;

    assert_int_equal(pairing_new(a, &p, NULL), 0);
    pairing_look(p);
    return p;
}

static void fresh(const char *agent_env)
{
    _cleanup_(freep) char *state = path_in_root(AGENT_STATE_DIR), *run = path_in_root(RUN_DIR);

    assert_int_equal(dir_clear(state, NULL), 0);
    assert_int_equal(dir_clear(run, NULL), 0);
    agent_root_write(AGENT_ENV_PATH, agent_env);
    agent_root_write(SECBOX_ENV_PATH, NULL);
}

/* Of the tunnel to the claim's gateway. */
static void tell_link(Pairing *p, const char *members)
{
    _cleanup_(freep) char *text = str_format("{\"gateway\":\"wss://cloud.example/mgmt\",%s}", members);
    _cleanup_(cJSON_Deletep) cJSON *status = cJSON_Parse(text);

    assert_non_null(status);
    pairing_note_link(p, status);
}

static bool is_marked(void)
{
    _cleanup_(freep) char *path = path_in_root(PAIRING_MARKER);

    return access(path, F_OK) == 0;
}

static void test_the_course(void **state)
{
    Agent a = {};
    Error err = {};

    (void) state;
    fresh("# ours\nPODMAN_USER=tc\n");
    Pairing *p = start(&a);
    assert_int_equal(p->file.state, PAIRING_UNCLAIMED);
    assert_int_equal(strlen(p->file.pin), PIN_DIGITS);
    assert_true(is_marked());
    assert_int_equal(pairing_claim(p, CLAIM, &err), 0);
    assert_int_equal(p->file.state, PAIRING_CLAIMING);
    _cleanup_(freep) char *env = read_env();
    assert_string_equal(
        env, "# ours\nPODMAN_USER=tc\nCLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\nBOOTSTRAP=one\n"
             "MGMT_GATEWAY_URL=wss://cloud.example/mgmt\n");
    /* the same again is no error, another one is */
    assert_int_equal(pairing_claim(p, CLAIM, &err), 0);
    assert_int_equal(pairing_claim(p, OTHER, &err), -EBUSY);
    assert_string_equal(err.id, "pair.claiming");
    error_done(&err);
    cJSON *up = cJSON_Parse("{\"connected\":true,\"gateway\":\"wss://another.example/mgmt\"}");
    pairing_note_link(p, up);
    assert_int_equal(p->file.state, PAIRING_CLAIMING);
    cJSON_ReplaceItemInObject(up, "gateway", cJSON_CreateString("wss://cloud.example/mgmt"));
    pairing_note_link(p, up);
    cJSON_Delete(up);
    assert_int_equal(p->file.state, PAIRING_CLAIMED);
    assert_null(p->file.pin);
    assert_true(is_marked()); /* nothing runs yet */
    pairing_free(p);
    p = start(&a);
    assert_int_equal(p->file.state, PAIRING_CLAIMED);
    assert_int_equal(pairing_claim(p, OTHER, &err), -EEXIST);
    assert_string_equal(err.id, "pair.claimed");
    error_done(&err);
    assert_int_equal(pairing_unclaim(p, NULL, &err), 0);
    _cleanup_(freep) char *after = read_env();
    assert_string_equal(after, "# ours\nPODMAN_USER=tc\n");
    assert_true(p->file.forget);
    pairing_free(p);
    p = start(&a);
    assert_int_equal(p->file.state, PAIRING_UNCLAIMED);
    pairing_free(p);
}

static void test_what_the_cloud_refuses_is_over(void **state)
{
    static const struct {
        const char *id;
        bool terminal;
    } cases[] = {
        { "bootstrap.invalid", true },   { "bootstrap.expired", true }, { "device.bootstrap-reused", true },
        { "enrolment.invalid", true },   { "enrolment.used-up", true }, { "http.other-key", true },
        { "enrolment.pending", false },  { "http.failed", false },      { "store.busy", false },
        { "enrolment.other-key", true },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Agent a = {};
        fresh(NULL);
        Pairing *p = start(&a);
        assert_int_equal(pairing_claim(p, CLAIM, NULL), 0);
        _cleanup_(freep) char *members =
            str_format("\"connected\":false,\"error\":{\"id\":\"%s\",\"message\":\"no\"}", cases[i].id);
        tell_link(p, members);
        assert_int_equal(p->file.state, cases[i].terminal ? PAIRING_UNCLAIMED : PAIRING_CLAIMING);
        assert_true(cases[i].terminal ? p->file.error != NULL : p->trouble != NULL);
        _cleanup_(freep) char *env = read_env();
        assert_int_equal(env[0] == '\0', cases[i].terminal);
        pairing_free(p);
    }
}

/* A token for many boxes is on the box no longer than it has to be, and never in the containers' file. */
static void test_a_box_asks_to_be_let_in(void **state)
{
    Agent a = {};
    Error err = {};
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH), *containers = NULL;

    (void) state;
    fresh("PODMAN_USER=tc\n");
    agent_root_write(SECBOX_ENV_PATH, "EXTRA=1\n");
    Pairing *p = start(&a);
    assert_int_equal(pairing_claim(p, ENROLMENT, &err), 0);
    assert_int_equal(p->file.state, PAIRING_CLAIMING);
    _cleanup_(freep) char *asks = read_env();
    assert_non_null(strstr(asks, "\nENROLMENT=sbe_many\nCLOUD_FINGERPRINT=" DIGITS "\n"));
    assert_non_null(strstr(asks, "\nBOOTSTRAP=sbb_"));
    _cleanup_(freep) char *line = str_format("\nDEVICE_ID=%s\n", p->file.device_id);
    assert_non_null(strstr(asks, line));
    /* the same again stays the same; who waits goes on waiting, also over a restart */
    assert_int_equal(pairing_claim(p, ENROLMENT, &err), 0);
    tell_link(p, "\"connected\":false,\"error\":{\"id\":\"enrolment.pending\",\"message\":\"wait\"}");
    assert_int_equal(p->file.state, PAIRING_CLAIMING);
    assert_string_equal(json_string(p->trouble, "id"), "enrolment.pending");
    pairing_free(p);
    p = start(&a);
    _cleanup_(freep) char *still = read_env();
    assert_string_equal(still, asks);
    tell_link(p, "\"connected\":true");
    assert_int_equal(p->file.state, PAIRING_CLAIMED);
    assert_true(p->connected);
    _cleanup_(freep) char *in = read_env();
    assert_null(strstr(in, "ENROLMENT"));
    assert_null(strstr(in, "CLOUD_FINGERPRINT"));
    assert_non_null(strstr(in, line));
    assert_int_equal(file_read(path, 4096, &containers, NULL, NULL), 0);
    assert_null(strstr(containers, "sbe_many"));
    /* killed before that */
    agent_root_write(AGENT_ENV_PATH, asks);
    pairing_free(p);
    p = start(&a);
    _cleanup_(freep) char *again = read_env();
    assert_string_equal(again, in);
    assert_int_equal(pairing_unclaim(p, NULL, &err), 0);
    /* another time it is another box to the cloud */
    assert_int_equal(pairing_claim(p, ENROLMENT, &err), 0);
    assert_null(strstr(line, p->file.device_id));
    tell_link(p, "\"connected\":false,\"error\":{\"id\":\"enrolment.denied\",\"message\":\"no\"}");
    assert_int_equal(p->file.state, PAIRING_UNCLAIMED);
    _cleanup_(freep) char *out = read_env();
    assert_string_equal(out, "PODMAN_USER=tc\n");
    pairing_free(p);
}

/* Who writes the file by hand may have a box that is not in yet. */
static void test_an_enrolment_by_hand_stays(void **state)
{
    static const char env[] = "CLOUD_BASE_URL=https://x.example\nDEVICE_ID=a\nMGMT_GATEWAY_URL=wss://x.example/mgmt\n"
                              "BOOTSTRAP=own\nENROLMENT=sbe_many\n";
    static const char env_of_another[] =
        "CLOUD_BASE_URL=https://x.example\nDEVICE_ID=a\nMGMT_GATEWAY_URL=wss://x.example/mgmt\n"
        "BOOTSTRAP=own\nENROLMENT=sbe_other\nCLOUD_FINGERPRINT=" DIGITS "\n";
    Agent a = {};

    (void) state;
    fresh(env);
    pairing_free(start(&a));
    Pairing *p = start(&a);
    _cleanup_(freep) char *after = read_env();
    assert_string_equal(after, env);
    pairing_free(p);
    /* also of a box that was paired by a claim before */
    fresh(NULL);
    p = start(&a);
    assert_int_equal(pairing_claim(p, ENROLMENT, NULL), 0);
    tell_link(p, "\"connected\":true");
    assert_int_equal(p->file.state, PAIRING_CLAIMED);
    pairing_free(p);
    agent_root_write(AGENT_ENV_PATH, env_of_another);
    p = start(&a);
    _cleanup_(freep) char *later = read_env();
    assert_string_equal(later, env_of_another);
    pairing_free(p);
}

static void test_boxes_of_before(void **state)
{
    static const struct {
        const char *env;
        PairingState state;
    } cases[] = {
        { "DEVICE_ID=caseta-5\n", PAIRING_CLAIMED },
        { "CLOUD_BASE_URL=https://x.example\nDEVICE_ID=a\nMGMT_GATEWAY_URL=wss://x.example/mgmt\n", PAIRING_CLAIMED },
        { "what is this\n", PAIRING_CLAIMED }, /* somebody means something by it */
        { "PODMAN_USER=tc\n", PAIRING_UNCLAIMED },
        { "BOOTSTRAP=\n", PAIRING_UNCLAIMED },
        { NULL, PAIRING_UNCLAIMED },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Agent a = {};
        fresh(cases[i].env);
        Pairing *p = start(&a);
        assert_int_equal(p->file.state, cases[i].state);
        assert_int_equal(is_marked(), cases[i].state == PAIRING_UNCLAIMED);
        pairing_free(p);
        if (cases[i].state == PAIRING_UNCLAIMED)
            continue;
        /* a file that goes later, by whoever's mistake, makes nobody's box of it */
        agent_root_write(AGENT_ENV_PATH, NULL);
        p = start(&a);
        assert_int_equal(p->file.state, PAIRING_CLAIMED);
        pairing_free(p);
    }
    /* written by hand while the page waits */
    Agent a = {};
    fresh(NULL);
    Pairing *p = start(&a);
    agent_root_write(AGENT_ENV_PATH, "DEVICE_ID=caseta-5\n");
    pairing_look(p);
    assert_int_equal(p->file.state, PAIRING_CLAIMED);
    assert_false(is_marked());
    pairing_free(p);
    p = start(&a);
    assert_int_equal(p->file.since, 0);
    assert_false(is_marked());
    pairing_free(p);
}

static void test_secbox_env_follows(void **state)
{
    Agent a = {};
    _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH), *text = NULL;

    (void) state;
    fresh(NULL);
    agent_root_write(SECBOX_ENV_PATH, "# theirs\nCLOUD_BASE_URL=https://old.example\nDEVICE_ID=old\nBOOTSTRAP=old\n"
                                      "DEVICE_GATEWAY_URL=wss://old.example/device\nEXTRA='a b'\n");
    Pairing *p = start(&a);
    assert_int_equal(pairing_claim(p, CLAIM, NULL), 0);
    pairing_free(p);
    assert_int_equal(file_read(path, 4096, &text, NULL, NULL), 0);
    assert_string_equal(text, "# theirs\nCLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\nBOOTSTRAP=one\n"
                              "DEVICE_GATEWAY_URL=wss://cloud.example/device\nEXTRA='a b'\n");
}

static void do_claim(Pairing *p)
{
    _exit(pairing_claim(p, CLAIM, NULL) < 0);
}

static void do_unclaim(Pairing *p)
{
    _exit(pairing_unclaim(p, NULL, NULL) < 0);
}

/* Kills `act` before the n-th change; whether it got to its end. */
static bool killed_at(void (*act)(Pairing *p), int n)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        Agent a = {};
        Pairing *p = NULL;
        if (pairing_new(&a, &p, NULL) < 0)
            _exit(1);
        changes_left = n;
        act(p);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
    return WEXITSTATUS(status) == 0;
}

/* Whatever is there is one of the two states, whole. */
static PairingState check_whole(void)
{
    _cleanup_(freep) char *next = path_in_root(AGENT_STATE_DIR "/pairing-next.env");
    Agent a = {};
    Pairing *p = start(&a);
    PairingState found = p->file.state;
    _cleanup_(freep) char *env = read_env();

    assert_null(p->file.next);
    assert_int_not_equal(access(next, F_OK), 0);
    assert_int_equal(strstr(env, "BOOTSTRAP=one\n") != NULL, found == PAIRING_CLAIMING);
    assert_non_null(strstr(env, "PODMAN_USER=tc\n"));
    pairing_free(p);
    return found;
}

static void test_f13_killed_at_each_change(void **state)
{
    int n = 0, claims = 0, unclaims = 0;
    bool ended = false;

    (void) state;
    for (n = 0; !ended; n++) {
        fresh("PODMAN_USER=tc\n");
        pairing_free(start(&(Agent) {}));
        ended = killed_at(do_claim, n);
        claims += check_whole() == PAIRING_CLAIMING;
    }
    assert_true(n > 4 && claims >= 3 && claims < n);
    ended = false;
    for (n = 0; !ended; n++) {
        fresh("PODMAN_USER=tc\n");
        pairing_free(start(&(Agent) {}));
        assert_true(killed_at(do_claim, 1000));
        ended = killed_at(do_unclaim, n);
        unclaims += check_whole() == PAIRING_UNCLAIMED;
    }
    assert_true(n > 4 && unclaims >= 3 && unclaims < n);
}

/* Whatever cannot be written: the box is what it was, or is being paired; never paired by a claim that nobody may take back. */
static void test_f51_the_disk_is_full_at_each_change(void **state)
{
    bool whole = false;

    (void) state;
    for (int n = 0; !whole; n++) {
        Agent a = {};

        fresh("PODMAN_USER=tc\n");
        Pairing *p = start(&a);
        room_left = n;
        whole = pairing_claim(p, CLAIM, NULL) >= 0;
        pairing_look(p);
        room_left = -1;
        pairing_look(p);
        _cleanup_(freep) char *env = read_env();
        assert_int_equal(p->file.state, strstr(env, "BOOTSTRAP=one") ? PAIRING_CLAIMING : PAIRING_UNCLAIMED);
        assert_non_null(p->file.pin);
        pairing_free(p);
        assert_true(n < 100);
    }
}

static void test_a_marker_that_was_left_behind(void **state)
{
    Agent a = {};

    (void) state;
    fresh("CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\nMGMT_GATEWAY_URL=wss://cloud.example/mgmt\n");
    agent_root_write(PAIRING_MARKER, "");
    Pairing *p = start(&a);
    assert_int_equal(p->file.state, PAIRING_CLAIMED);
    p->file.since = 1; /* long ago */
    pairing_look(p);
    assert_false(is_marked());
    pairing_free(p);
}

static void test_pins(void **state)
{
    char pin[PIN_SIZE], other[PIN_SIZE];

    (void) state;
    pin_make(pin);
    pin_make(other);
    assert_int_equal(strspn(pin, "0123456789"), PIN_DIGITS);
    assert_string_not_equal(pin, other);
    assert_true(pin_is_right("12345678", "12345678"));
    assert_true(pin_is_right("12345678", " 1234-5678 "));
    assert_false(pin_is_right("12345678", "12345679"));
    assert_false(pin_is_right("12345678", "1234567"));
    assert_false(pin_is_right("12345678", "123456789"));
    assert_false(pin_is_right("12345678", "1234567x"));
    assert_false(pin_is_right("12345678", ""));
    assert_int_equal(pin_delay(4), 0);
    assert_int_equal(pin_delay(5), 30 * USEC_PER_SEC);
    assert_int_equal(pin_delay(6), USEC_PER_MINUTE);
    assert_int_equal(pin_delay(4000), 15 * USEC_PER_MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_course),
        cmocka_unit_test(test_what_the_cloud_refuses_is_over),
        cmocka_unit_test(test_a_box_asks_to_be_let_in),
        cmocka_unit_test(test_an_enrolment_by_hand_stays),
        cmocka_unit_test(test_boxes_of_before),
        cmocka_unit_test(test_secbox_env_follows),
        cmocka_unit_test(test_f13_killed_at_each_change),
        cmocka_unit_test(test_f51_the_disk_is_full_at_each_change),
        cmocka_unit_test(test_a_marker_that_was_left_behind),
        cmocka_unit_test(test_pins),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

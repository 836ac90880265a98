/* SPDX-License-Identifier: MIT */
/* A box takes root documents: what counts before, after, and when it is cut off at any call that changes its disk. */
#include "tests/unit/trust-documents.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/data/trust-root-store.h"

#define CUT_OFF 77

/* The process ends before the call of that number; 0: never. */
static unsigned cut_before, calls;

static void count_call(void)
{
    if (cut_before > 0 && ++calls == cut_before)
        _exit(CUT_OFF);
}

int rename(const char *from, const char *to)
{
    count_call();
    return (int) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd)
{
    count_call();
    return (int) syscall(SYS_fsync, fd);
}

int unlink(const char *path)
{
    count_call();
    return (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static const OrderView view = { .device = "casa", .now = TRUST_NOON, .clock_is_known = true };
static SignerKey *ana, *berta, *carla;

static const char *take(const cJSON *envelope)
{
    static char id[64];
    _cleanup_(error_done) Error err = {};
    int r = trust_root_take(envelope, "m1", &view, &err);

    snprintf(id, sizeof(id), "%s", r == 0 ? "taken" : r == 1 ? "there" : error_id(&err));
    return id;
}

static char *names_that_count(void)
{
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(strv_freep) char **names = NULL;
    _cleanup_(error_done) Error err = {};
    int r = trust_load(&trust, &err);

    if (r < 0)
        return str_format("%s", error_id(&err));
    for (size_t i = 0; i < trust.signers.n; i++)
        assert_int_equal(strv_add(&names, trust.signers.list[i].name), 0);
    _cleanup_(freep) char *list = names ? strv_join(names, " ") : strdup("");
    return str_format("%llu: %s/%u", (unsigned long long) trust.root.version, list, trust.signers.threshold);
}

static void assert_counts(const char *expected)
{
    _cleanup_(freep) char *got = names_that_count();

    assert_string_equal(got, expected);
}

/* What a program from before root documents reads. */
static void assert_pinned(const char *expected)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};
    _cleanup_(strv_freep) char **names = NULL;

    assert_int_equal(order_signers_load(&signers, NULL), 0);
    for (size_t i = 0; i < signers.n; i++)
        assert_int_equal(strv_add(&names, signers.list[i].name), 0);
    _cleanup_(freep) char *list = names ? strv_join(names, " ") : strdup("");
    _cleanup_(freep) char *got = str_format("%s/%u", list, signers.threshold);
    assert_string_equal(got, expected);
}

static void pin(const SignerKey *key, const char *name)
{
    _cleanup_(freep) char *line = trust_line(key, name), *path = str_format(SIGNERS_DIR "/%s.pub", name);

    agent_root_write(path, line);
}

/* Ana and Berta are pinned, and nothing was ever taken. */
static int begin(void **state)
{
    _cleanup_(freep) char *signers = NULL, *box = NULL;

    if (agent_root_make(state) < 0)
        return -1;
    signers = path_in_root(SIGNERS_DIR);
    box = path_in_root(AGENT_STATE_DIR);
    if (!signers || !box || dir_make(signers, 0755, (uid_t) -1, (gid_t) -1, NULL) < 0)
        return -1;
    pin(ana, "ana");
    pin(berta, "berta");
    return 0;
}

static cJSON *document(uint64_t version, const char *device)
{
    _cleanup_(freep) char *text = trust_text(version, 2, device, TRUST_KEYS({ "ana", ana }, { "carla", carla }));

    return trust_sign(text, TRUST_BY(ana, carla));
}

static void test_a_document_takes_the_place_of_what_is_pinned(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, "casa"), *two = document(2, ORDER_ANY_BOX),
                                   *other = document(3, "casb");
    _cleanup_(freep) char *text = trust_text(1, 1, "casa", TRUST_KEYS({ "carla", carla }));
    _cleanup_(cJSON_Deletep) cJSON *same_version = trust_sign(text, TRUST_BY(ana, carla));

    (void) state;
    assert_counts("0: ana berta/1");
    assert_string_equal(take(other), "root.other-box");
    assert_counts("0: ana berta/1");
    assert_string_equal(take(one), "taken");
    assert_counts("1: ana carla/2");
    assert_pinned("ana carla/2");
    assert_string_equal(take(one), "there");
    assert_string_equal(take(same_version), "root.older");
    assert_string_equal(take(two), "taken");
    assert_string_equal(take(one), "root.older");
    assert_counts("2: ana carla/2");

    _cleanup_(trust_root_record_done) TrustRootRecord record = {};
    assert_int_equal(trust_root_record_load(&record, NULL), 0);
    assert_int_equal(record.version, 2);
    assert_string_equal(record.who, "ana, carla");
    assert_string_equal(record.id, "m1");
    assert_true(record.copied);
}

static void test_a_gateway_cannot_name_the_first(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, ORDER_ANY_BOX);

    (void) state;
    agent_root_write(SIGNERS_DIR "/ana.pub", NULL);
    agent_root_write(SIGNERS_DIR "/berta.pub", NULL);
    assert_string_equal(take(one), "root.no-signers");
    assert_counts("0: /1");
}

/* It would be in force, and could not be read: no order would count until somebody comes to the box. */
static void test_a_gateway_cannot_spoil_one(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, ORDER_ANY_BOX);
    _cleanup_(freep) char *padding = calloc(1, TRUST_ROOT_FILE_MAX + 1);

    (void) state;
    assert_non_null(padding);
    memset(padding, 'x', TRUST_ROOT_FILE_MAX);
    assert_int_equal(json_add_string(one, "padding", padding), 0);
    assert_string_equal(take(one), "root.malformed");
    assert_counts("0: ana berta/1");
    cJSON_DeleteItemFromObjectCaseSensitive(one, "padding");
    assert_string_equal(take(one), "taken");
}

static void test_one_is_forgotten(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, ORDER_ANY_BOX), *two = document(2, ORDER_ANY_BOX);

    (void) state;
    assert_string_equal(take(one), "taken");
    _cleanup_(freep) char *line = trust_line(berta, "berta");
    agent_root_write(SIGNERS_DIR "/berta.pub", line); /* beside it, where it counts for nothing */
    assert_int_equal(trust_root_forget(NULL), 0);
    assert_counts("0: ana carla/2");
    /* root may have taken one of its keys away since: it does not come back by what was forgotten */
    assert_string_equal(take(one), "root.older");
    assert_string_equal(take(two), "taken");
    assert_counts("2: ana carla/2");
}

static void test_f56_one_that_is_damaged_stops_orders(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, ORDER_ANY_BOX), *two = document(2, ORDER_ANY_BOX);
    _cleanup_(freep) char *path = path_in_root(SIGNERS_DIR "/" TRUST_ROOT_NAME), *text = NULL;

    (void) state;
    assert_string_equal(take(one), "taken");
    text = agent_root_read(SIGNERS_DIR "/" TRUST_ROOT_NAME);
    assert_int_equal(chmod(path, 0666), 0);
    assert_counts("signer.bad-mode");
    text[strlen(text) / 2] ^= 1;
    agent_root_write(SIGNERS_DIR "/" TRUST_ROOT_NAME, text);
    assert_counts("root.damaged");
    assert_string_equal(take(two), "root.damaged");
    agent_root_write(SIGNERS_DIR "/" TRUST_ROOT_NAME, "");
    assert_counts("root.damaged");
    assert_int_equal(trust_root_forget(NULL), 0);
    assert_counts("0: ana carla/2");
}

static void test_one_that_has_expired_is_followed_by_another(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, ORDER_ANY_BOX);
    const OrderView later = { .device = "casa", .now = TRUST_NOON + 31 * USEC_PER_DAY, .clock_is_known = true };
    const OrderView unknown = { .device = "casa", .now = later.now };
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_string_equal(take(one), "taken");
    assert_int_equal(trust_load(&trust, NULL), 0);
    assert_int_equal(trust_check_time(&trust, &view, NULL), 0);
    assert_int_equal(trust_check_time(&trust, &unknown, NULL), 0);
    assert_int_equal(trust_check_time(&trust, &later, &err), -EACCES);
    assert_string_equal(error_id(&err), "root.expired");
    /* its keys vouch for the next one all the same, or nobody ever could */
    _cleanup_(trust_root_done) TrustRoot next = {};
    _cleanup_(freep) char *text = trust_text(2, 1, ORDER_ANY_BOX, TRUST_KEYS({ "berta", berta }));
    assert_int_equal(trust_root_read(text, strlen(text), &next, NULL), 0);
    next.issued = later.now;
    next.expires = later.now + USEC_PER_DAY;
    _cleanup_(freep) char *renewed = trust_root_print(&next);
    _cleanup_(cJSON_Deletep) cJSON *two = trust_sign(renewed, TRUST_BY(ana, carla, berta));
    assert_int_equal(trust_root_take(two, "m2", &later, NULL), 0);
    assert_counts("2: berta/1");
}

/* Takes the document in a process that ends before its call number n. False: it made fewer. */
static bool cut_at(const cJSON *envelope, unsigned n)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        cut_before = n;
        _exit(trust_root_take(envelope, "m1", &view, NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CUT_OFF));
    return WEXITSTATUS(status) == CUT_OFF;
}

static void test_f13_f14_cut_off_at_every_call(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *one = document(1, "casa");
    unsigned n = 1, before = 0, after = 0;
    bool cut = true;

    for (; cut; n++) {
        cut = cut_at(one, n);
        _cleanup_(freep) char *counts = names_that_count();
        bool taken = str_equal(counts, "1: ana carla/2");
        assert_true(taken || str_equal(counts, "0: ana berta/1"));
        *(taken ? &after : &before) += 1;
        /* as at the agent's next start, and when the cloud sends it again */
        assert_int_equal(trust_root_settle(NULL), 0);
        if (taken)
            assert_pinned("ana carla/2");
        assert_string_equal(take(one), taken ? "there" : "taken");
        assert_counts("1: ana carla/2");
        assert_pinned("ana carla/2");
        assert_int_equal(agent_root_remove(state), 0);
        assert_int_equal(begin(state), 0);
    }
    print_message("cut off at %u calls: %u times before, %u times after\n", n - 2, before, after);
    assert_true(before > 2 && after > 2);
}

static int make_keys(void **state)
{
    (void) state;
    ana = trust_key();
    berta = trust_key();
    carla = trust_key();
    return 0;
}

static int free_keys(void **state)
{
    (void) state;
    ed25519_free(ana);
    ed25519_free(berta);
    ed25519_free(carla);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_document_takes_the_place_of_what_is_pinned, begin, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_a_gateway_cannot_name_the_first, begin, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_a_gateway_cannot_spoil_one, begin, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_one_is_forgotten, begin, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_f56_one_that_is_damaged_stops_orders, begin, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_one_that_has_expired_is_followed_by_another, begin, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_f13_f14_cut_off_at_every_call, begin, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}

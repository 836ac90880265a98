/* SPDX-License-Identifier: MIT */
/* The replica's decisions without a database: states, what continues what, what messages must be, what codes mean. */
#include "tests/unit/states-page.h"

#include <errno.h>

#include "lib/data/json.h"
#include "secbox/replica/database-state.h"
#include "secbox/replica/sync-inbox.h"
#include "secbox/replica/sync-rules.h"

#define HERE "018f3a52-7c11-7d3e-9a45-2f60c1d8e001"
#define THERE "018f3a52-7c11-7d3e-9a45-2f60c1d8e002"
#define EPOCH "5b1f0c9e-9f0d-4c1a-8a53-6f2f5e0f7a10"
#define OTHER "5b1f0c9e-9f0d-4c1a-8a53-6f2f5e0f7a11"

static void test_page_and_table_agree(void **state)
{
    static const Machine machine = {
        "## The replica\n", _SYNC_STATES, _SYNC_INPUTS, sync_state_name, sync_input_name, sync_next,
    };

    (void) state;
    states_page_compare(&machine, 1);
}

static void test_page_names_the_databases_states(void **state)
{
    _cleanup_(freep) char *page = NULL;
    const char *section;

    (void) state;
    assert_int_equal(file_read(PAGE, 1024 * 1024, &page, NULL, NULL), 0);
    section = strstr(page, "\n## The box's database\n");
    assert_non_null(section);
    for (int s = 0; s < _DATABASE_STATES; s++) {
        _cleanup_(freep) char *cell = str_format("\n| `%s` | ", database_state_name((DatabaseState) s));
        if (!strstr(section, cell))
            fail_msg("%s does not name the state %s", PAGE, database_state_name((DatabaseState) s));
        assert_true(strlen(database_state_help((DatabaseState) s)) > 0);
    }
}

static void test_codes_of_the_database(void **state)
{
    static const struct {
        const char *code;
        DatabaseState down, failed;
    } cases[] = {
        { "", DATABASE_UNREACHABLE, DATABASE_UP },           { "08006", DATABASE_UNREACHABLE, DATABASE_UP },
        { "57P03", DATABASE_STARTING, DATABASE_STARTING },   { "3D000", DATABASE_MISSING, DATABASE_MISSING },
        { "28P01", DATABASE_REFUSED, DATABASE_REFUSED },     { "42501", DATABASE_REFUSED, DATABASE_REFUSED },
        { "53100", DATABASE_FULL, DATABASE_FULL },           { "53300", DATABASE_BUSY, DATABASE_BUSY },
        { "25006", DATABASE_READ_ONLY, DATABASE_READ_ONLY }, { "XX001", DATABASE_DAMAGED, DATABASE_DAMAGED },
        { "XX002", DATABASE_DAMAGED, DATABASE_DAMAGED },     { "22023", DATABASE_UNSUITABLE, DATABASE_UP },
        { "23514", DATABASE_UNSUITABLE, DATABASE_UP },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        assert_int_equal(database_state_when_down(cases[i].code), cases[i].down);
        assert_int_equal(database_state_when_failed(cases[i].code), cases[i].failed);
    }
}

static SyncMessage delta(const char *community, const char *epoch, uint64_t from, uint64_t to)
{
    SyncMessage m = { .kind = SYNC_DELTA, .from = from, .to = to };

    memcpy(m.community, community, UUID_SIZE);
    memcpy(m.epoch, epoch, UUID_SIZE);
    return m;
}

static void test_deltas(void **state)
{
    static const struct {
        const char *community, *epoch;
        uint64_t from, to;
        SyncVerdict verdict;
    } cases[] = {
        { HERE, EPOCH, 42, 43, SYNC_APPLY },        { HERE, EPOCH, 42, 99, SYNC_APPLY },
        { HERE, EPOCH, 41, 42, SYNC_DUPLICATE },    { HERE, EPOCH, 0, 42, SYNC_DUPLICATE },
        { HERE, EPOCH, 43, 44, SYNC_GAP },          { HERE, EPOCH, 41, 43, SYNC_GAP },
        { HERE, OTHER, 42, 43, SYNC_OTHER_EPOCH },  { HERE, OTHER, 1, 2, SYNC_OTHER_EPOCH },
        { THERE, EPOCH, 42, 43, SYNC_OTHER_EPOCH },
    };
    SyncCursor at = { .known = true, .community = HERE, .epoch = EPOCH, .version = 42 };
    SyncCursor nothing = {};

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        SyncMessage m = delta(cases[i].community, cases[i].epoch, cases[i].from, cases[i].to);
        assert_int_equal(sync_judge_delta(&at, &m), cases[i].verdict);
        assert_int_equal(sync_judge_delta(&nothing, &m), SYNC_OTHER_EPOCH);
    }
}

static void test_snapshots(void **state)
{
    static const struct {
        const char *epoch;
        uint64_t version;
        SyncVerdict whole, some;
    } cases[] = {
        { EPOCH, 42, SYNC_APPLY, SYNC_APPLY },
        { EPOCH, 50, SYNC_APPLY, SYNC_APPLY },
        { EPOCH, 41, SYNC_DUPLICATE, SYNC_DUPLICATE },
        { OTHER, 1, SYNC_APPLY, SYNC_OTHER_EPOCH },
    };
    SyncCursor at = { .known = true, .community = HERE, .epoch = EPOCH, .version = 42 };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        SyncMessage m = delta(HERE, cases[i].epoch, 0, 0);
        m.version = cases[i].version;
        m.tables = SYNC_ALL_TABLES;
        assert_int_equal(sync_judge_begin(&at, &m), cases[i].whole);
        m.tables = 1U << SYNC_BANS;
        assert_int_equal(sync_judge_begin(&at, &m), cases[i].some);
        assert_int_equal(sync_check_applies(&at, &m), i == 0);
    }
}

static int read_text(const char *text, SyncMessage *m)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error err = {};

    assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
    int r = sync_message_read(o, m, &err);
    assert_true(r != -EBADMSG || strcmp(error_id(&err), "sync.bad-message") == 0);
    return r;
}

static void test_messages(void **state)
{
    SyncMessage m = {};

    (void) state;
    assert_int_equal(read_text("{\"type\":\"snapshot.begin\",\"snapshot\":\"s\",\"community\":\"" HERE
                               "\",\"epoch\":\"" EPOCH
                               "\",\"version\":\"42\",\"tables\":[{\"table\":\"bans\",\"count\":7,\"checksum\":"
                               "\"00FF00ff00ff00ff\"},{\"table\":\"of-the-future\",\"count\":1}]}",
                               &m),
                     0);
    assert_int_equal(m.kind, SYNC_BEGIN);
    assert_int_equal(m.tables, 1U << SYNC_BANS);
    assert_int_equal(m.sums[SYNC_BANS].count, 7);
    assert_string_equal(m.sums[SYNC_BANS].checksum, "00ff00ff00ff00ff");
    assert_int_equal(m.version, 42);
    assert_int_equal(
        read_text("{\"type\":\"snapshot.rows\",\"snapshot\":\"s\",\"index\":3,\"table\":\"of-the-future\",\"rows\":[]}",
                  &m),
        0);
    assert_int_equal(m.tables, 0);
    assert_int_equal(m.index, 3);
    assert_int_equal(read_text("{\"type\":\"events.ack\",\"accepted\":[],\"rejected\":[]}", &m), -ENOMSG);
}

static void test_bad_messages(void **state)
{
    static const char *const bad[] = {
        "{\"type\":\"delta.changes\",\"community\":\"" HERE "\",\"epoch\":\"" EPOCH
        "\",\"from\":3,\"to\":3,\"changes\":[]}",
        "{\"type\":\"delta.changes\",\"community\":\"here\",\"epoch\":\"" EPOCH
        "\",\"from\":3,\"to\":4,\"changes\":[]}",
        "{\"type\":\"delta.changes\",\"community\":\"" HERE "\",\"epoch\":\"" EPOCH
        "\",\"from\":\"9223372036854775808\",\"to\":\"9223372036854775809\",\"changes\":[]}",
        "{\"type\":\"sync.check\",\"epoch\":\"" EPOCH "\",\"version\":1,\"tables\":[{\"table\":\"bans\",\"count\":1,"
        "\"checksum\":\"00ff\"}]}",
        "{\"type\":\"sync.check\",\"epoch\":\"" EPOCH "\",\"version\":1,\"tables\":[{\"table\":\"bans\",\"count\":1,"
        "\"checksum\":\"00ff00ff00ff00ff\"},{\"table\":\"bans\",\"count\":1,\"checksum\":\"00ff00ff00ff00ff\"}]}",
        "{\"type\":\"sync.check\",\"epoch\":\"" EPOCH "\",\"version\":1,\"tables\":[7]}",
        "{\"type\":\"snapshot.end\",\"snapshot\":\"\",\"chunks\":1}",
        "{\"type\":\"snapshot.end\",\"snapshot\":\"s\",\"chunks\":-1}",
    };
    SyncMessage m = { .version = 9 };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        if (read_text(bad[i], &m) != -EBADMSG)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(m.version, 9);
}

static void test_inbox(void **state)
{
    SyncInbox in = { .n_max = 3, .bytes_max = 10 }, held = { .n_max = 3, .bytes_max = 10 };
    SyncMessage m = {};
    SyncItem *item;

    (void) state;
    for (m.index = 1; m.index <= 2; m.index++)
        assert_int_equal(sync_inbox_push(&in, &m, "four"), 0);
    assert_int_equal(sync_inbox_push(&in, &m, "four"), -ENOBUFS);
    assert_int_equal(sync_inbox_push(&in, &m, NULL), 0);
    assert_int_equal(sync_inbox_push(&in, &m, NULL), -ENOBUFS);
    item = sync_inbox_pop(&in);
    assert_int_equal(item->message.index, 1);
    assert_string_equal(item->text, "four");
    assert_int_equal(sync_inbox_append(&held, item), 0);
    sync_inbox_prepend(&in, &held);
    assert_null(sync_inbox_pop(&held));
    for (uint64_t i = 1; i <= 3; i++) {
        item = sync_inbox_pop(&in);
        assert_int_equal(item->message.index, i);
        free(item);
    }
    assert_null(sync_inbox_pop(&in));
    assert_int_equal(in.bytes, 0);
    assert_int_equal(sync_inbox_push(&in, &m, "last"), 0);
    sync_inbox_clear(&in);
    assert_int_equal(in.n, 0);
    SyncInbox full = { .n_max = 9, .bytes_max = 10 }, more = { .n_max = 9, .bytes_max = 10 };
    assert_int_equal(sync_inbox_push(&full, &m, "eight888"), 0);
    assert_int_equal(sync_inbox_push(&more, &m, "eight888"), 0);
    sync_inbox_prepend(&full, &more);
    assert_int_equal(sync_inbox_push(&full, &m, "x"), -ENOBUFS);
    item = sync_inbox_pop(&full);
    assert_int_equal(sync_inbox_push(&full, &m, "x"), 0);
    free(item);
    sync_inbox_clear(&full);
    sync_inbox_clear(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_and_table_agree),
        cmocka_unit_test(test_page_names_the_databases_states),
        cmocka_unit_test(test_codes_of_the_database),
        cmocka_unit_test(test_deltas),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_inbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Each file that the agent keeps, with each of its bytes damaged in turn: it is read or it is told, nothing crashes or leaks, and
 * what comes next is written over it. */
#include "tests/unit/agent-root.h"

#include <fcntl.h>

#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/order-floors.h"
#include "mgmt-agent/state/pairing-file.h"
#include "mgmt-agent/state/pull-mark.h"
#include "mgmt-agent/state/pulled-images.h"
#include "mgmt-agent/state/services-file.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/watch-state.h"

#define AT "\"2026-01-02T03:04:05.678Z\""

static int read_journal(Error *err)
{
    _cleanup_(journal_done) Journal j = {};

    return journal_load(&j, err);
}

static int read_current(Error *err)
{
    Current *c = NULL;
    int r = current_load(&c, err);

    assert_true(r == 0 || !c);
    current_free(c);
    return r;
}

static int read_history(Error *err)
{
    cJSON *entries = NULL;
    int r = store_load_history(100, &entries, err);

    cJSON_Delete(entries);
    return r;
}

static int read_floor(Error *err)
{
    uint64_t floor = 99;
    int r = store_load_floor(&floor, err);

    assert_true(r == 0 || floor == 99);
    return r;
}

static int read_snapshot(Error *err)
{
    cJSON *o = NULL;
    int r = store_load_snapshot("7", &o, err);

    assert_true(r == 0 || !o);
    cJSON_Delete(o);
    return r;
}

static int read_orders(Error *err)
{
    OrderFloors f = {};
    int r = order_floors_load(&f, err);

    order_floors_done(&f);
    return r;
}

static int read_pairing(Error *err)
{
    PairingFile f = {};
    int r = pairing_file_load(&f, err);

    pairing_file_done(&f);
    return r;
}

/* What these say is not needed: one that cannot be read is empty. */
static int read_what_may_be_lost(Error *err)
{
    FailedImages failed = {};
    ServicesFile services = {};
    WatchState watched = {};
    PulledImages pulled = {};
    bool cut;

    (void) err;
    failed_load(&failed);
    failed_done(&failed);
    services_file_load(&services);
    services_file_done(&services);
    watch_state_load(&watched);
    watch_state_done(&watched);
    assert_int_equal(pulled_load(&pulled), 0);
    pulled_done(&pulled);
    strv_free(pull_mark_left(&cut));
    return 0;
}

static const struct {
    const char *name, *text;
    int (*read)(Error *err);
    bool is_whole; /* one that is cut off is told */
} files[] = {
    { "journal.json",
      "{\"state\":\"confirming\",\"kind\":\"update\",\"byConnection\":true,\"id\":\"d-1\",\"version\":\"7\","
      "\"sha256\":\"ab\",\"nonce\":\"n\",\"tries\":2,\"bootId\":\"b\",\"deadlineUsec\":\"1\",\"confirmUsec\":\"2\","
      "\"failure\":{\"id\":\"a.b\",\"message\":\"m\",\"line\":3},\"updates\":[{\"service\":\"web\",\"seenAt\":" AT "}],"
      "\"steps\":[{\"action\":\"replace\",\"service\":\"web\",\"container\":\"c\",\"oldId\":\"1\",\"oldName\":\"o\"}]}",
      read_journal, true },
    { "current.json",
      "{\"version\":\"7\",\"id\":\"d\",\"sha256\":\"s\",\"at\":" AT ",\"name\":\"secbox\",\"previous\":\"6\","
      "\"services\":[{\"name\":\"web\",\"id\":\"01\",\"labels\":{\"a\":\"b\"},\"pid\":7}]}",
      read_current, true },
    { "history.jsonl", "{\"id\":\"a\",\"version\":\"1\"}\n{\"id\":\"b\",\"outcome\":\"done\",\"status\":200}\n",
      read_history, false },
    { "floor.json", "{\"floor\":\"18446744073709551615\"}", read_floor, true },
    { "snapshots/7.json", "{\"version\":\"7\",\"compose\":\"services: {}\\n\",\"issuedAt\":" AT "}", read_snapshot,
      true },
    { "orders.json",
      "{\"services\":{\"serial\":\"5\",\"issuedAt\":" AT ",\"statement\":\"ab\",\"id\":\"d\",\"signedBy\":\"ana\"}}",
      read_orders, true },
    { "pairing.json", "{\"state\":\"claimed\",\"since\":" AT ",\"deviceId\":\"caseta5\",\"failures\":1}", read_pairing,
      true },
    { "updates-failed.json",
      "{\"failed\":[{\"service\":\"web\",\"digest\":\"sha256:1\",\"at\":" AT ",\"error\":{\"id\":\"a\"},\"times\":2}]}",
      read_what_may_be_lost, false },
    { "services.json",
      "{\"services\":[{\"name\":\"nvr\",\"state\":\"down\",\"trouble\":{\"what\":\"down\",\"since\":" AT
      ",\"restarts\":4},"
      "\"tries\":3,\"recreated\":true}],\"removed\":[],\"bootId\":\"b\"}",
      read_what_may_be_lost, false },
    { "updates.json",
      "{\"lastCheckAt\":" AT ",\"services\":[{\"service\":\"web\",\"state\":\"new\",\"seenAt\":" AT "}]}",
      read_what_may_be_lost, false },
    { "pulled-images.json",
      "{\"images\":[{\"imageId\":\"a\",\"reference\":\"r/web:1\"}],\"snapshots\":{\"8\":[\"a\",\"b\"]}}",
      read_what_may_be_lost, false },
    { "pulling.json", "{\"images\":[\"r/web:1\"],\"bootId\":\"b\"}", read_what_may_be_lost, false },
};

/* Reads the file as it is now. */
static int look(size_t i, const char *how, size_t at)
{
    _cleanup_(error_done) Error err = {};
    int r = files[i].read(&err);

    if (r < 0 && (!err.id || !err.message || !strstr(err.message, strrchr(files[i].name, '/') ? "7" : files[i].name)))
        fail_msg("%s, %s at %zu: %s does not name it", files[i].name, how, at, error_message(&err, r));
    return r;
}

static void put(int fd, size_t at, const void *data, size_t len)
{
    assert_int_equal(pwrite(fd, data, len, (off_t) at), len);
}

static void damage_each_byte(size_t i, int fd, const char *text, size_t len)
{
    static const char others[] = { '\0', '\xff', '"', '}', ' ', '0', '\n' };

    for (size_t at = 0; at < len; at++) {
        for (size_t o = 0; o < sizeof(others); o++) {
            put(fd, at, &others[o], 1);
            (void) look(i, "another byte", at);
        }
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            const char flipped = (char) (text[at] ^ (char) bit);

            put(fd, at, &flipped, 1);
            (void) look(i, "a flipped bit", at);
        }
        put(fd, at, text + at, 1);
    }
}

static void test_f56_each_byte_of_each_file(void **state)
{
    static const char zeros[4096];
    _cleanup_(freep) char *snapshots = path_in_root(AGENT_STATE_DIR "/snapshots");

    (void) state;
    assert_int_equal(dir_make(snapshots, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        const char *text = files[i].text;
        size_t len = strlen(text);
        _cleanup_(freep) char *relative = str_format(AGENT_STATE_DIR "/%s", files[i].name),
                              *path = path_in_root(relative);
        _cleanup_(closep) int fd = -1;

        agent_root_write(relative, text);
        if (look(i, "whole", 0) < 0)
            fail_msg("%s is not what is read", files[i].name);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        damage_each_byte(i, fd, text, len);
        for (size_t at = len; at-- > 0;) { /* a tail of zeros; then none */
            put(fd, at, zeros, len - at);
            if (look(i, "a tail of zeros", at) == 0 && files[i].is_whole)
                fail_msg("%s is read with zeros from %zu on", files[i].name, at);
        }
        put(fd, 0, text, len);
        for (size_t at = len; at-- > 0;) {
            assert_int_equal(ftruncate(fd, (off_t) at), 0);
            if (look(i, "an end", at) == 0 && files[i].is_whole)
                fail_msg("%s is read with its first %zu bytes", files[i].name, at);
        }
        put(fd, 0, text, len); /* and a hole of a block behind it */
        assert_int_equal(ftruncate(fd, (off_t) (len + sizeof(zeros))), 0);
        if (look(i, "a hole", len) == 0 && files[i].is_whole)
            fail_msg("%s is read with a hole behind it", files[i].name);
        agent_root_write(relative, NULL);
    }
}

static void test_f56_what_is_damaged_is_written_over(void **state)
{
    Journal j = {};
    const cJSON *entry;
    _cleanup_(cJSON_Deletep) cJSON *result = json_of("{\"id\":\"new\"}"), *entries = NULL;
    uint64_t floor = 0;

    (void) state;
    agent_root_write(AGENT_STATE_DIR "/journal.json", "{\"state\":\"conf");
    agent_root_write(AGENT_STATE_DIR "/history.jsonl", "{\"id\":\"old\"}\n{\"id\":\"torn");
    agent_root_write(AGENT_STATE_DIR "/floor.json", "{\"floor\":");
    assert_int_equal(journal_set_aside(NULL), 0);
    assert_int_equal(journal_load(&j, NULL), 0);
    assert_int_equal(j.state, DEPLOY_RECOVERY);
    journal_done(&j);
    _cleanup_(freep) char *kept = agent_root_read(AGENT_STATE_DIR "/journal.json.unreadable");
    assert_string_equal(kept, "{\"state\":\"conf");
    assert_int_equal(store_add_history(result, NULL), 0);
    assert_int_equal(store_load_history(10, &entries, NULL), 0);
    assert_int_equal(cJSON_GetArraySize(entries), 2);
    entry = cJSON_GetArrayItem(entries, 1);
    assert_string_equal(json_string(entry, "id"), "old");
    assert_int_equal(store_save_floor(8, NULL), 0);
    assert_int_equal(store_load_floor(&floor, NULL), 0);
    assert_int_equal(floor, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f56_each_byte_of_each_file),
        cmocka_unit_test(test_f56_what_is_damaged_is_written_over),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

/* SPDX-License-Identifier: MIT */
/* Recordings of sessions: what an auditor's key opens, and what was done to them that shows. And the asciicast that is in them. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "lib/data/asciicast.h"
#include "lib/data/json.h"
#include "lib/data/session-seal.h"

#define LABEL "g-1/7"

static HpkeKey *key_of(uint8_t first)
{
    uint8_t private[HPKE_KEY_SIZE] = { first, 1, 2, 3 };
    HpkeKey *k = NULL;

    assert_int_equal(hpke_key_from_private(private, &k), 0);
    return k;
}

/* Three records; *ends[i] is where record i - 1 ends. */
static void seal_three(const HpkeKey *k, Buf *out, size_t ends[static 4])
{
    uint8_t public[HPKE_KEY_SIZE];
    SessionSeal s;

    assert_int_equal(hpke_key_public(k, public), 0);
    assert_int_equal(session_seal_begin(&s, public, LABEL, out), 0);
    ends[0] = out->len;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(session_seal_add(&s, &"one\ntwo\nthree\n"[4 * i], i == 2 ? 6 : 4, i == 2, out), 0);
        ends[i + 1] = out->len;
    }
    assert_int_equal(session_seal_add(&s, "", 0, true, out), -EINVAL);
    for (size_t i = 0; i < sizeof(s.key); i++)
        assert_int_equal(s.key[i], 0);
}

static void an_auditor_opens_it_and_nobody_else(void **state)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(1), *other = key_of(8);
    _cleanup_(buf_done) Buf sealed = BUF_INIT(8192);
    _cleanup_(session_text_done) SessionText o = {}, none = {};
    _cleanup_(error_done) Error err = {};
    size_t ends[4];

    (void) state;
    seal_three(k, &sealed, ends);
    assert_int_equal(session_open(k, sealed.data, sealed.len, &o, &err), 0);
    assert_string_equal(o.text.data, "one\ntwo\nthree\n");
    assert_string_equal(o.label, LABEL);
    assert_true(o.is_whole);
    assert_int_equal(o.records, 3);
    assert_null(memmem(sealed.data, sealed.len, "three", 5));
    assert_int_equal(session_open(other, sealed.data, sealed.len, &none, &err), -EBADMSG);
    assert_string_equal(error_id(&err), "session.other-key");
}

static void wherever_it_is_cut_shows(void **state)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(1);
    _cleanup_(buf_done) Buf sealed = BUF_INIT(8192);
    size_t ends[4];

    (void) state;
    seal_three(k, &sealed, ends);
    for (size_t len = 0; len < sealed.len; len++) {
        _cleanup_(session_text_done) SessionText o = {};
        _cleanup_(error_done) Error err = {};
        int r = session_open(k, sealed.data, len, &o, &err);

        assert_false(o.is_whole);
        assert_int_equal(r, len < ends[0] ? -EBADMSG : 0);
        assert_int_equal(o.records, len < ends[1] ? 0 : len < ends[2] ? 1 : 2);
        if (r < 0)
            assert_string_equal(error_id(&err), "session.no-recording");
    }
}

static void whatever_is_changed_shows(void **state)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(1);
    _cleanup_(buf_done) Buf sealed = BUF_INIT(8192);
    size_t ends[4];

    (void) state;
    seal_three(k, &sealed, ends);
    for (size_t i = 0; i < sealed.len; i++) {
        _cleanup_(session_text_done) SessionText o = {};

        sealed.data[i] ^= 0x40;
        int r = session_open(k, sealed.data, sealed.len, &o, NULL);
        assert_true(r == -EBADMSG || !o.is_whole);
        assert_true(o.text.len <= 8);
        if (o.text.len > 0)
            assert_memory_equal(o.text.data, "one\ntwo\n", o.text.len);
        sealed.data[i] ^= 0x40;
    }
}

static void records_have_one_place(void **state)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(1);
    _cleanup_(buf_done) Buf sealed = BUF_INIT(8192);
    size_t e[4];

    (void) state;
    seal_three(k, &sealed, e);
    const struct {
        size_t from[3], to[3];
    } cases[] = {
        { { 0, e[1], e[2] }, { e[0], e[2], e[3] } }, /* without the first */
        { { 0, e[1], e[0] }, { e[0], e[2], e[1] } }, /* changed places */
        { { 0, e[0], e[0] }, { e[0], e[1], e[1] } }, /* twice */
        { { 0, e[0], e[2] }, { e[0], e[1], e[3] } }, /* without the second */
        { { 0, e[0], e[2] }, { e[0], e[3], e[3] } }, /* something behind the last */
    };
    for (size_t c = 0; c < ELEMENTSOF(cases); c++) {
        _cleanup_(buf_done) Buf b = BUF_INIT(8192);
        _cleanup_(session_text_done) SessionText o = {};
        _cleanup_(error_done) Error err = {};

        for (size_t i = 0; i < 3; i++)
            assert_int_equal(buf_append(&b, sealed.data + cases[c].from[i], cases[c].to[i] - cases[c].from[i]), 0);
        assert_int_equal(session_open(k, b.data, b.len, &o, &err), -EBADMSG);
        assert_string_equal(error_id(&err), "session.recording-changed");
    }
}

static void what_a_terminal_shows_as_json(void **state)
{
    static const struct {
        const char *pieces[3];
        const char *text;
    } cases[] = {
        { { "plain", " text", NULL }, "plain| text" },
        { { "\"\\\x1b[1m\r\n\t\x7f", NULL, NULL }, "\"\\\x1b[1m\r\n\t\x7f" },
        { { "ca\xC3",
            "\xB1"
            "a",
            NULL },
          "ca|\xC3\xB1"
          "a" },
        { { "\xF0\x9F", "\x98", "\x80" }, "||\xF0\x9F\x98\x80" },
        { { "\xFF\xC0\xAF", NULL, NULL }, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
        { { "\xED\xA0\x80x", NULL, NULL }, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDx" },
        { { "\xE2\x82", "\"", NULL }, "|\xEF\xBF\xBD\"" },
    };

    (void) state;
    for (size_t c = 0; c < ELEMENTSOF(cases); c++) {
        _cleanup_(buf_done) Buf got = BUF_INIT(4096);
        CastStream s = {};

        for (size_t i = 0; i < 3 && cases[c].pieces[i]; i++) {
            _cleanup_(buf_done) Buf line = BUF_INIT(4096);
            assert_int_equal(cast_output(&s, 1500000, cases[c].pieces[i], strlen(cases[c].pieces[i]), &line), 0);
            _cleanup_(cJSON_Deletep) cJSON *event = cJSON_Parse(line.data);
            assert_int_equal(cJSON_GetArraySize(event), 3);
            assert_true(cJSON_GetArrayItem(event, 0)->valuedouble == 1.5);
            assert_string_equal(cJSON_GetArrayItem(event, 1)->valuestring, "o");
            assert_int_equal(buf_printf(&got, "%s%s", i > 0 ? "|" : "", cJSON_GetArrayItem(event, 2)->valuestring), 0);
        }
        assert_string_equal(got.data, cases[c].text);
    }
}

static void head_and_other_events(void **state)
{
    const CastHead head = { 132, 50, 1700000000, "g-1/7", "echo \"\xFF\"\n", NULL };
    _cleanup_(buf_done) Buf b = BUF_INIT(4096);

    (void) state;
    assert_int_equal(cast_head(&head, &b), 0);
    assert_int_equal(cast_resize(61 * USEC_PER_SEC + 5, 80, 24, &b), 0);
    assert_int_equal(cast_marker(62 * USEC_PER_SEC, "exit status 3", &b), 0);
    assert_string_equal(b.data, "{\"version\": 2, \"width\": 132, \"height\": 50, \"timestamp\": 1700000000, "
                                "\"title\": \"g-1/7\", \"command\": \"echo \\\"\xEF\xBF\xBD\\\"\\u000a\"}\n"
                                "[61.000005, \"r\", \"80x24\"]\n[62.000000, \"m\", \"exit status 3\"]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_auditor_opens_it_and_nobody_else), cmocka_unit_test(wherever_it_is_cut_shows),
        cmocka_unit_test(whatever_is_changed_shows),           cmocka_unit_test(records_have_one_place),
        cmocka_unit_test(what_a_terminal_shows_as_json),       cmocka_unit_test(head_and_other_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

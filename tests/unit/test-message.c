/* SPDX-License-Identifier: MIT */
/* The message table, the golden examples and docs/wire-format.md name the same types; wrong messages are refused. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

static const MessageSender all_senders[] = {
    SENDER_CLOUD, SENDER_AGENT, SENDER_LINK, SENDER_LOCAL, SENDER_BOX, SENDER_RECOVERY, SENDER_OPERATOR, SENDER_PAIRING,
};

static char *golden_read(const char *type, size_t *ret_len)
{
    _cleanup_(freep) char *path = str_format("tests/golden/%s.json", type);
    Error err = {};
    char *text = NULL;

    if (file_read(path, WS_MESSAGE_MAX, &text, ret_len, &err) < 0)
        fail_msg("%s: %s (unit tests run in the root of the tree)", path, err.message);
    return text;
}

static int parse(const char *text, size_t len, MessageSender sender, const MessageType **ret_type, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *object = NULL;
    int r = message_parse(text, len, sender, &object, ret_type, err);

    assert_int_equal(r == 0, object != NULL);
    return r;
}

static void test_golden_by_sender(void **state)
{
    (void) state;
    for (const MessageType *t = message_types; t->name; t++) {
        size_t len = 0;
        _cleanup_(freep) char *text = golden_read(t->name, &len);

        for (size_t i = 0; i < ELEMENTSOF(all_senders); i++) {
            const MessageType *type = NULL;
            Error err = {};
            int r = parse(text, len, all_senders[i], &type, &err);

            if (t->senders & (unsigned) all_senders[i]) {
                if (r < 0)
                    fail_msg("%s: %s", t->name, err.message);
                assert_ptr_equal(type, t);
            } else {
                assert_int_equal(r, -EPERM);
                assert_string_equal(err.id, "message.sender");
            }
            error_done(&err);
        }
    }
}

static void test_required_members(void **state)
{
    (void) state;
    for (const MessageType *t = message_types; t->name; t++) {
        const char *const *const lists[] = { t->strings, t->objects, t->numbers, t->booleans, t->arrays };
        size_t len = 0;
        _cleanup_(freep) char *text = golden_read(t->name, &len);

        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
            for (const char *const *key = lists[i]; key && *key; key++) {
                _cleanup_(cJSON_Deletep) cJSON *object = NULL;
                Error err = {};

                assert_int_equal(json_parse_object(text, len, &object, &err), 0);
                cJSON_DeleteItemFromObjectCaseSensitive(object, *key);
                _cleanup_(freep) char *without = json_print(object);

                assert_int_equal(parse(without, strlen(without), (MessageSender) t->senders, NULL, &err), -EBADMSG);
                assert_string_equal(err.id, "message.member");
                assert_string_equal(err.key, *key);
                error_done(&err);

                assert_int_equal(json_add_item(object, *key, cJSON_CreateNull()), 0);
                _cleanup_(freep) char *wrong = json_print(object);

                assert_int_equal(parse(wrong, strlen(wrong), (MessageSender) t->senders, NULL, &err), -EBADMSG);
                assert_string_equal(err.id, "message.member");
                error_done(&err);
            }
        }
    }
}

static void test_golden_folder_has_no_other_files(void **state)
{
    (void) state;
    DIR *dir = opendir("tests/golden");
    size_t n = 0, types = 0;

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || !str_ends(entry->d_name, ".json"))
            continue;
        entry->d_name[strlen(entry->d_name) - strlen(".json")] = '\0';
        if (!message_type_find(entry->d_name))
            fail_msg("tests/golden/%s.json has no type in the table", entry->d_name);
        n++;
    }
    closedir(dir);
    for (const MessageType *t = message_types; t->name; t++)
        types++;
    assert_int_equal(n, types);
}

/* Rows of the table in the section "Messages": | `type` | … */
static void test_document_names_the_same_types(void **state)
{
    (void) state;
    _cleanup_(freep) char *text = NULL;
    Error err = {};
    size_t documented = 0, types = 0;

    assert_int_equal(file_read("docs/wire-format.md", 1024 * 1024, &text, NULL, &err), 0);
    char *at = strstr(text, "\n## Messages\n");
    assert_non_null(at);
    char *end = strstr(at + 1, "\n## ");
    assert_non_null(end);
    *end = '\0';
    while ((at = strstr(at, "\n| `"))) {
        char name[64] = "";

        at += strlen("\n| `");
        assert_int_equal(sscanf(at, "%63[^`]", name), 1);
        if (!message_type_find(name))
            fail_msg("docs/wire-format.md names %s, which the table does not have", name);
        documented++;
    }
    for (const MessageType *t = message_types; t->name; t++)
        types++;
    assert_int_equal(documented, types);
}

static void test_table_is_sound(void **state)
{
    (void) state;
    for (const MessageType *t = message_types; t->name; t++) {
        assert_ptr_equal(message_type_find(t->name), t); /* no name twice */
        assert_true(t->senders != 0);
        assert_true(t->size_max >= 16 * 1024 && t->size_max <= WS_MESSAGE_MAX);
        assert_non_null(t->help);
    }
    assert_null(message_type_find("nothing.like-it"));
    assert_null(message_type_find(""));
    assert_null(message_type_find(NULL));
}

static void test_f34_refused(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int r;
        const char *id;
    } cases[] = {
        { "", -EBADMSG, "json.syntax" },
        { "[]", -EBADMSG, "json.not-object" },
        { "{}", -EBADMSG, "message.no-type" },
        { "{\"type\":7}", -EBADMSG, "message.no-type" },
        { "{\"type\":\"camera.dance\",\"id\":\"1\"}", -ENOMSG, "message.unknown-type" },
        { "{\"type\":\"STATUS.GET\",\"id\":\"1\"}", -ENOMSG, "message.unknown-type" },
        { "{\"type\":\"status.get\",\"type\":\"error\"}", -EBADMSG, "json.duplicate-key" },
        { "{\"type\":\"compose.confirm\",\"id\":\"1\",\"version\":\"x\",\"nonce\":\"n\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"compose.confirm\",\"id\":\"1\",\"version\":1.5,\"nonce\":\"n\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"compose.confirm\",\"id\":\"1\",\"version\":-1,\"nonce\":\"n\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"status.get\",\"id\":\"\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"status.get\",\"id\":\"a b\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"status.get\",\"id\":\"a\\nb\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"status.get\",\"id\":\"\u00e9\"}", -EBADMSG, "message.member" },
        { "{\"type\":\"status.report\",\"id\":\"1\",\"status\":[]}", -EBADMSG, "message.member" },
        { "{\"type\":\"history.report\",\"id\":\"1\",\"entries\":{}}", -EBADMSG, "message.member" },
        { "{\"type\":\"link.status\",\"connected\":1}", -EBADMSG, "message.member" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Error err = {};
        MessageSender any = (MessageSender) 63;

        if (parse(cases[i].text, strlen(cases[i].text), any, NULL, &err) != cases[i].r ||
            !str_equal(err.id, cases[i].id))
            fail_msg("%s: got %s", cases[i].text, error_id(&err));
        error_done(&err);
    }
}

static void test_unknown_members_are_fine(void **state)
{
    (void) state;
    static const char text[] = "{\"type\":\"compose.confirm\",\"id\":\"1\",\"version\":\"18446744073709551615\","
                               "\"nonce\":\"n\",\"future\":{\"a\":[1]}}";
    Error err = {};

    assert_int_equal(parse(text, strlen(text), SENDER_CLOUD, NULL, &err), 0);
    error_done(&err);
}

static int parse_padded(const char *prefix, size_t total, Error *err)
{
    _cleanup_(freep) char *text = malloc(total + 1);
    size_t n = strlen(prefix);

    assert_non_null(text);
    memset(text, 'x', total);
    memcpy(text, prefix, n);
    memcpy(text + total - 2, "\"}", 3);
    return parse(text, total, SENDER_CLOUD, NULL, err);
}

static void test_f34_sizes(void **state)
{
    (void) state;
    const char *small = "{\"type\":\"status.get\",\"id\":\"1\",\"pad\":\"";
    const char *large = "{\"type\":\"compose.plan\",\"id\":\"1\",\"compose\":\"";
    size_t small_max = message_type_find("status.get")->size_max;
    Error err = {};

    assert_int_equal(parse_padded(small, small_max, &err), 0);
    assert_int_equal(parse_padded(small, small_max + 1, &err), -EMSGSIZE);
    assert_string_equal(err.id, "message.too-large");
    error_done(&err);
    assert_int_equal(parse_padded(large, WS_MESSAGE_MAX, &err), 0);
    assert_int_equal(parse_padded(large, WS_MESSAGE_MAX + 1, &err), -EMSGSIZE);
    assert_string_equal(err.id, "message.too-large");
    error_done(&err);
}

static void test_new(void **state)
{
    (void) state;
    _cleanup_(cJSON_Deletep) cJSON *object = message_new("link.cycle");
    _cleanup_(freep) char *text = json_print(object);
    Error err = {};

    assert_string_equal(text, "{\"type\":\"link.cycle\"}");
    assert_int_equal(parse(text, strlen(text), SENDER_AGENT, NULL, &err), 0);
    error_done(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_by_sender),
        cmocka_unit_test(test_required_members),
        cmocka_unit_test(test_golden_folder_has_no_other_files),
        cmocka_unit_test(test_document_names_the_same_types),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_f34_refused),
        cmocka_unit_test(test_unknown_members_are_fine),
        cmocka_unit_test(test_f34_sizes),
        cmocka_unit_test(test_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

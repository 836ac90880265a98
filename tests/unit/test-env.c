/* SPDX-License-Identifier: MIT */
/* The env dialect, the rules of the keys, deriving secbox.env, and the shipped example files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env/env-rules.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define TEXT(s) s, sizeof(s) - 1

/* Parsing from an exact copy on the heap shows a byte read too far. */
static int parse(const char *text, size_t len, EnvFile **ret, Error *err)
{
    _cleanup_(freep) char *copy = malloc(len ? len : 1);

    if (len > 0)
        memcpy(copy, text, len);
    return env_parse(copy, len, "secbox.env", ret, err);
}

static EnvFile *must_parse(const char *text)
{
    EnvFile *e = NULL;
    Error err = {};

    if (parse(text, strlen(text), &e, &err) < 0)
        fail_msg("%s", error_message(&err, 0));
    return e;
}

static void test_accepted(void **state)
{
    (void) state;
    _cleanup_(env_freep) EnvFile *e = must_parse("# comment\n"
                                                 "\n"
                                                 "  \t\n"
                                                 "  # indented = comment\n"
                                                 "B=2\n"
                                                 "A=a=b#c=\n"
                                                 "EMPTY=\n"
                                                 "spaces=one two  three\n"
                                                 "_x9=caf\xC3\xA9 \"quoted\" inside\n"
                                                 "BLANK=  \n"
                                                 "HASH=#abc\n"
                                                 "LAST=x");
    static const char *const expected[] = {
        "B",      "2",
        "A",      "a=b#c=",
        "EMPTY",  "",
        "spaces", "one two  three",
        "_x9",    "caf\xC3\xA9 \"quoted\" inside",
        "BLANK",  "  ",
        "HASH",   "#abc",
        "LAST",   "x",
    };

    assert_int_equal(env_size(e), ELEMENTSOF(expected) / 2);
    for (size_t i = 0; i < env_size(e); i++) {
        assert_string_equal(env_key_at(e, i), expected[2 * i]);
        assert_string_equal(env_value_at(e, i), expected[2 * i + 1]);
        assert_int_equal(env_line_at(e, i), 5 + i);
    }
    assert_string_equal(env_get(e, "EMPTY"), "");
    assert_null(env_get(e, "b"));
    assert_null(env_key_at(e, 99));
    assert_null(env_value_at(e, 99));

    _cleanup_(freep) char *printed = env_print(e);
    _cleanup_(env_freep) EnvFile *again = must_parse(printed);
    assert_int_equal(env_size(again), env_size(e));
    for (size_t i = 0; i < env_size(e); i++)
        assert_string_equal(env_value_at(again, i), env_value_at(e, i));
}

static void test_f04_refused(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t len;
        const char *id;
        unsigned line;
        const char *key;
    } cases[] = {
        { TEXT("A=1\nB\n"), "env.syntax", 2, NULL },
        { TEXT("=1\n"), "env.syntax", 1, NULL },
        { TEXT(" A=1\n"), "env.syntax", 1, NULL },
        { TEXT("A =1\n"), "env.syntax", 1, NULL },
        { TEXT("A\t=1\n"), "env.syntax", 1, NULL },
        { TEXT("A: 1\n"), "env.syntax", 1, NULL },
        { TEXT("1A=1\n"), "env.syntax", 1, NULL },
        { TEXT("A-B=1\n"), "env.syntax", 1, NULL },
        { TEXT("\xC3\x84=1\n"), "env.syntax", 1, NULL },
        { TEXT("; comment=1\n"), "env.syntax", 1, NULL },
        { TEXT("export A=1\n"), "env.export", 1, NULL },
        { TEXT("export\tA=1\n"), "env.export", 1, NULL },
        { TEXT("export A\n"), "env.export", 1, NULL },
        { TEXT("A=\"1\"\n"), "env.quotes", 1, "A" },
        { TEXT("A='1'\n"), "env.quotes", 1, "A" },
        { TEXT("A=1'\n"), "env.quotes", 1, "A" },
        { TEXT("A=\"\n"), "env.quotes", 1, "A" },
        { TEXT("A=1\n\nA=1\n"), "env.duplicate-key", 3, "A" },
        { TEXT("A= 1\n"), "env.white-space", 1, "A" },
        { TEXT("A=1 \n"), "env.white-space", 1, "A" },
        { TEXT("A=1\t"), "env.white-space", 1, "A" },
        { TEXT("A=1\r\n"), "env.control-character", 1, NULL },
        { TEXT("\r\n"), "env.control-character", 1, NULL },
        { TEXT("A=1\rB=2\n"), "env.control-character", 1, "A" },
        { TEXT("A=1\0"
               "2\n"),
          "env.control-character", 1, NULL },
        { TEXT("A=\0"), "env.control-character", 1, NULL },
        { TEXT("# x\0\n"), "env.control-character", 1, NULL },
        { TEXT("A=a\tb\n"), "env.control-character", 1, "A" },
        { TEXT("A=a\x1B[0mb\n"), "env.control-character", 1, "A" },
        { TEXT("A=a\x7F"
               "b\n"),
          "env.control-character", 1, "A" },
        { TEXT("A=a\xC2\x85"
               "b\n"),
          "env.control-character", 1, "A" },
        { TEXT("A=a\xE2\x80\xA8"
               "b\n"),
          "env.control-character", 1, "A" },
        { TEXT("\xEF\xBB\xBF"
               "A=1\n"),
          "env.control-character", 1, NULL },
        { TEXT("A=1 # one\n"), "env.comment", 1, "A" },
        { TEXT("A=C:\\x\n"), "env.backslash", 1, "A" },
        { TEXT("A=1\\\nB=2\n"), "env.backslash", 1, "A" },
        { TEXT("A=\xE9\n"), "env.not-utf8", 1, NULL },
        { TEXT("A=1\nLD_PRELOAD=/tmp/x.so\n"), "env.dangerous-key", 2, "LD_PRELOAD" },
        { TEXT("PATH=/tmp\n"), "env.dangerous-key", 1, "PATH" },
        { TEXT("PYTHONPATH=/tmp\n"), "env.dangerous-key", 1, "PYTHONPATH" },
        { TEXT("https_proxy=http://x\n"), "env.dangerous-key", 1, "https_proxy" },
        { TEXT("COMPOSE_FILE=x\n"), "env.dangerous-key", 1, "COMPOSE_FILE" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        EnvFile *e = NULL;
        Error err = {};
        int r = parse(cases[i].text, cases[i].len, &e, &err);

        if (r >= 0 || e || !str_equal(err.id, cases[i].id) || err.line != cases[i].line ||
            !str_equal(err.key, cases[i].key) || !str_equal(err.file, "secbox.env"))
            fail_msg("case %zu (%s): got %s line %u key %s", i, cases[i].text, error_id(&err), err.line, err.key);
        error_done(&err);
    }
}

static void test_errors_never_hold_values(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "T=\"hunter2\"\n",      "hunter2\n",     "T= hunter2\n",    "export T=hunter2\n",
        "hun ter2 hunter2=1\n", "T=hunter2\\\n", "T=hunter2 # x\n", "T=1\nT=hunter2\n",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        EnvFile *e = NULL;
        Error err = {};

        assert_true(parse(texts[i], strlen(texts[i]), &e, &err) < 0);
        assert_null(strstr(err.message, "hunter2"));
        error_done(&err);
    }
}

static int parse_long(size_t key_len, size_t value_len, size_t lines, const char **ret_id)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(8 * 1024 * 1024);
    _cleanup_(env_freep) EnvFile *e = NULL;
    Error err = {};
    int r;

    for (size_t i = 0; i < lines; i++) {
        assert_int_equal(buf_printf(&b, "%0*zu", (int) key_len, i), 0);
        b.data[b.len - key_len] = 'K';
        assert_int_equal(buf_puts(&b, "="), 0);
        assert_int_equal(buf_reserve(&b, value_len), 0);
        memset(b.data + b.len, 'v', value_len);
        b.len += value_len;
        assert_int_equal(buf_puts(&b, "\n"), 0);
    }
    r = parse(b.data, b.len, &e, &err);
    *ret_id = err.id;
    error_done(&err);
    return r;
}

static void test_f04_limits(void **state)
{
    (void) state;
    const char *id = NULL;

    assert_int_equal(parse_long(ENV_KEY_MAX, ENV_VALUE_MAX, 1, &id), 0);
    assert_true(parse_long(ENV_KEY_MAX + 1, 1, 1, &id) < 0);
    assert_string_equal(id, "env.syntax");
    assert_true(parse_long(8, ENV_VALUE_MAX + 1, 1, &id) < 0);
    assert_string_equal(id, "env.value-too-long");
    assert_int_equal(parse_long(8, 1, ENV_KEYS_MAX, &id), 0);
    assert_true(parse_long(8, 1, ENV_KEYS_MAX + 1, &id) < 0);
    assert_string_equal(id, "env.too-large");
    assert_true(parse_long(8, 1024 * 1024, 1, &id) < 0);
    assert_string_equal(id, "env.too-large");
}

static void test_f04_dangerous_keys(void **state)
{
    (void) state;
    static const char *const dangerous[] = {
        "LD_PRELOAD",           "PATH",       "PYTHONSTARTUP",   "GODEBUG",        "SSL_CERT_FILE",
        "HTTP_PROXY",           "http_proxy", "XDG_RUNTIME_DIR", "CONTAINER_HOST", "CONTAINERS_CONF",
        "COMPOSE_PROJECT_NAME", "HOME",       "BASH_ENV",
    };
    static const char *const harmless[] = {
        "DEVICE_ID", "NODE_ENV", "ENV", "DATA_PATH", "PATHS", "HOMEPAGE", "MY_LD_X", "COMPOSER", "OLD_PROXY",
    };

    for (size_t i = 0; i < ELEMENTSOF(dangerous); i++)
        if (!env_key_is_dangerous(dangerous[i]))
            fail_msg("%s would be taken", dangerous[i]);
    for (size_t i = 0; i < ELEMENTSOF(harmless); i++)
        if (env_key_is_dangerous(harmless[i]))
            fail_msg("%s would be refused", harmless[i]);
    for (const EnvRule *rule = env_rules; rule->key; rule++)
        assert_false(env_key_is_dangerous(rule->key));
}

static void test_set(void **state)
{
    (void) state;
    _cleanup_(env_freep) EnvFile *e = must_parse("A=1\nB=2\n");
    static const char *const bad[][2] = {
        { "1A", "x" }, { "", "x" },     { "A B", "x" }, { "LD_PRELOAD", "x" }, { "A", "x\ny" }, { "A", "\"x\"" },
        { "A", " x" }, { "A", "\xFF" }, { "A", "x\r" }, { "A", "x\\" },        { "A", " \n" },
    };
    Error err = {};

    assert_int_equal(env_set(e, "A", "one", &err), 0);
    assert_int_equal(env_set(e, "C", "", &err), 0);
    assert_null(err.id);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        if (env_set(e, bad[i][0], bad[i][1], &err) >= 0)
            fail_msg("taken: %s=%s", bad[i][0], bad[i][1]);
        assert_string_equal(err.id, "env.bad-value");
        error_done(&err);
    }
    _cleanup_(freep) char *text = env_print(e);
    assert_string_equal(text, "A=one\nB=2\nC=\n");
    assert_int_equal(env_line_at(e, 0), 0);
    assert_int_equal(env_line_at(e, 1), 2);
}

static void test_load(void **state)
{
    (void) state;
    char folder[] = "/tmp/test-env-XXXXXX";
    EnvFile *e = NULL;
    Error err = {};

    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = str_format("%s/a.env", folder);
    assert_int_equal(env_load(path, &e, &err), -ENOENT);
    assert_string_equal(err.id, "env.missing");
    assert_string_equal(err.file, path);
    error_done(&err);
    assert_int_equal(file_write_atomic(path, "A=1\nB='2'\n", 10, 0600, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_true(env_load(path, &e, &err) < 0);
    assert_string_equal(err.id, "env.quotes");
    assert_int_equal(err.line, 2);
    assert_non_null(strstr(err.message, path));
    error_done(&err);
    assert_int_equal(file_write_atomic(path, "A=1\n", 4, 0600, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_int_equal(env_load(path, &e, &err), 0);
    assert_string_equal(env_get(e, "A"), "1");
    env_free(e);
    assert_int_equal(dir_remove(folder, &err), 0);
}

#define AGENT_OK                                                                                                       \
    "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\nBOOTSTRAP=b-t\n"                                        \
    "MGMT_GATEWAY_URL=wss://cloud.example/x/mgmt\n"
#define SECBOX_OK "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\n"

static void test_f03_validate(void **state)
{
    (void) state;
    static const struct {
        EnvFileKind kind;
        const char *text;
        const char *id; /* NULL: valid */
        const char *key;
        unsigned line;
    } cases[] = {
        { ENV_AGENT, AGENT_OK, NULL, NULL, 0 },
        { ENV_AGENT, AGENT_OK "PODMAN_USER=tc\nWATCHTOWER_POLL_INTERVAL=60\nCLOUD_CA_FILE=/etc/ca.pem\n", NULL, NULL,
          0 },
        { ENV_AGENT, AGENT_OK "RECOVERY_GATEWAY_URL=ws://[::1]:8080/recovery\n", NULL, NULL, 0 },
        { ENV_SECBOX, SECBOX_OK, NULL, NULL, 0 },
        { ENV_SECBOX, SECBOX_OK "ANYTHING_ELSE=of the compose file\nEMPTY=\nTUNNEL_TOKEN=\n", NULL, NULL, 0 },
        { ENV_SECBOX, SECBOX_OK "TUNNEL_PROVIDER=rathole\nTUNNEL_SERVER=relay.example:2333\n", NULL, NULL, 0 },
        { ENV_SECBOX, "CLOUD_BASE_URL=http://127.0.0.1:8080/base\nDEVICE_ID=a\n", NULL, NULL, 0 },
        { ENV_SECBOX, "", "env.missing-keys", "CLOUD_BASE_URL,DEVICE_ID", 0 },
        { ENV_SECBOX, "\nDEVICE_ID=\nCLOUD_BASE_URL=https://x\n", "env.missing-keys", "DEVICE_ID", 2 },
        { ENV_SECBOX, "DEVICE_ID=  \nCLOUD_BASE_URL=https://x\n", "env.missing-keys", "DEVICE_ID", 1 },
        { ENV_AGENT, SECBOX_OK, "env.missing-keys", "MGMT_GATEWAY_URL", 0 },
        { ENV_SECBOX, SECBOX_OK "X=a${CLOUD_BASE_URL:-https://x}\n", "env.unexpanded", "X", 3 },
        { ENV_SECBOX, "CLOUD_BASE_URL=${CLOUD_BASE_URL}\nDEVICE_ID=a\n", "env.unexpanded", "CLOUD_BASE_URL", 1 },
        { ENV_SECBOX, SECBOX_OK "X=  \n", "env.white-space", "X", 3 },
        { ENV_AGENT, AGENT_OK "CLOUD_URL=x\n", "env.unknown-key", "CLOUD_URL", 5 },
        { ENV_AGENT, AGENT_OK "TUNNEL_TOKEN=x\n", "env.unknown-key", "TUNNEL_TOKEN", 5 },
        { ENV_SECBOX, SECBOX_OK "TUNNEL_PROVIDER=ngrok\n", "env.bad-value", "TUNNEL_PROVIDER", 3 },
        { ENV_SECBOX, SECBOX_OK "TUNNEL_TOKEN=two words\n", "env.bad-value", "TUNNEL_TOKEN", 3 },
        { ENV_SECBOX, SECBOX_OK "TUNNEL_SERVER=relay.example\n", "env.bad-value", "TUNNEL_SERVER", 3 },
        { ENV_AGENT, AGENT_OK "PODMAN_USER=Root!\n", "env.bad-value", "PODMAN_USER", 5 },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(env_freep) EnvFile *e = must_parse(cases[i].text);
        Error err = {};
        int r = env_validate(e, cases[i].kind, "file.env", &err);

        if ((r == 0) != !cases[i].id || !str_equal(err.id, cases[i].id) || !str_equal(err.key, cases[i].key) ||
            err.line != cases[i].line)
            fail_msg("case %zu: got %s, %s, line %u", i, error_id(&err), error_message(&err, r), err.line);
        if (r < 0)
            assert_int_equal(strncmp(err.message, "file.env", 8), 0);
        error_done(&err);
    }
}

static void test_missing_sentence(void **state)
{
    (void) state;
    _cleanup_(env_freep) EnvFile *e = must_parse("DEVICE_ID=\n");
    unsigned present = 9, total = 9;
    Error err = {};

    assert_true(env_validate(e, ENV_SECBOX, NULL, &err) < 0);
    assert_string_equal(err.message, "secbox.env lacks required keys: CLOUD_BASE_URL, DEVICE_ID (empty); add each as "
                                     "a line NAME=value, or remove the file so that it is made from mgmt-agent.env");
    error_done(&err);
    env_count_required(e, ENV_SECBOX, &present, &total);
    assert_int_equal(present, 0);
    assert_int_equal(total, 2);
    assert_int_equal(env_set(e, "DEVICE_ID", "x", &err), 0);
    assert_int_equal(env_set(e, "CLOUD_BASE_URL", "https://x", &err), 0);
    env_count_required(e, ENV_SECBOX, &present, &total);
    assert_int_equal(present, 2);
    env_count_required(e, ENV_AGENT, &present, &total);
    assert_int_equal(present, 2);
    assert_int_equal(total, 3);
}

static void test_checks(void **state)
{
    (void) state;
    static const struct {
        const char *key;
        const char *good[8], *bad[24];
    } cases[] = {
        { "CLOUD_BASE_URL",
          { "https://a", "http://127.0.0.1:1", "https://[::1]:443/x", "https://a-b.c/", "https://a/b%20c/d" },
          { "a.b",           "ftp://a",
            "HTTPS://a",     "https://",
            "https:///x",    "https://u@a",
            "https://u:p@a", "https://a b",
            "https://a:0",   "https://a:65536",
            "https://a:",    "https://a:x",
            "https://a?q",   "https://a#f",
            "https://[::1",  "https://[a]",
            "https://.a",    "https://-a",
            "https://a/\"",  "https://a/<b>",
            "wss://a",       "//a" } },
        { "DEVICE_ID",
          { "a", "0", "caseta-5", "A.b_c-9", "x123456789012345678901234567890123456789012345678901234567890123" },
          { "-a", ".a", "_a", "a b", "a/b", "..", "caf\xC3\xA9", "a:b",
            "x1234567890123456789012345678901234567890123456789012345678901234" } },
        { "BOOTSTRAP", { "x", "a+b/c=.~" }, { "a b", "caf\xC3\xA9" } },
        { "MGMT_GATEWAY_URL",
          { "wss://a/mgmt", "ws://127.0.0.1:9/x/mgmt" },
          { "https://a/mgmt", "wss://a/mgmt/", "wss://a/xmgm", "wss://a", "wss://a/mgmt?x=/mgmt", "mgmt" } },
        { "DEVICE_GATEWAY_URL", { "wss://a/device", "ws://a" }, { "http://a/device", "wss://" } },
        { "DATABASE_URL",
          { "postgresql://secbox@postgres/secbox", "postgres://u:p%40@[::1]:5432/d?sslmode=require", "postgresql:///d",
            "postgresql://u:p?q%2F@h/d?host=/run/pg" },
          { "host=postgres dbname=secbox", "postgresql://", "mysql://a/b", "postgresql://a b/c", "POSTGRES://a/b",
            "postgresql://u:p/q@h/d", "postgresql://u:p@q@h/d", "postgresql://h/d?password=p@q" } },
        { "LAN_LISTEN",
          { "0.0.0.0:8443", "[::]:8443", "192.168.1.20:1", "off" },
          { "8443", "localhost:8443", "0.0.0.0", "0.0.0.0:0", "[::]", "[]:8443", "::1:8443", "[::1:8443", "OFF",
            ":8443" } },
        { "LAN_NAMES", { "192.168.1.20", "10.0.0.1, gate.secbox.local", "fd00::1" }, { "a\"b", "a;b", "caf\xC3\xA9" } },
        { "FRIGATE_URL",
          { "http://frigate:5000", "https://10.0.0.2:8971/" },
          { "frigate:5000", "http://frigate:5000/api", "ftp://frigate", "http://", "http://u@frigate" } },
        { "MEDIA_ORIGIN",
          { "https://portal.example", "https://10.0.0.2:8443" },
          { "portal.example", "http://portal.example", "https://portal.example/", "https://Portal.example",
            "https://portal.example:443", "https://", "*", "null", "https://a.example https://b.example" } },
        { "MEDIA_UPLINK_KBIT", { "1", "1000000" }, { "0", "1000001", "off", "8k" } },
        { "CAMERA_UPLINK_KBIT", { "1", "1000000" }, { "0", "1000001", "off", "4k" } },
        { "LAN_RATE", { "1", "20", "1000", "off" }, { "0", "1001", "-1", "1.5", "20 ", "OFF" } },
        { "QUEUE_MAX_MB", { "1", "256", "65536" }, { "0", "65537", "-1", "1.5", "020", "off" } },
        { "QUEUE_MAX_DAYS", { "1", "180", "3650" }, { "0", "3651", "7d", "+1" } },
        { "DATA_OLD_HOURS", { "1", "24", "8760" }, { "0", "8761", "24h", " 1" } },
        { "TUNNEL_PROVIDER", { "cloudflare", "rathole", "none" }, { "Rathole", "no" } },
        { "TUNNEL_SERVER", { "a:1", "1.2.3.4:65535", "[::1]:2" }, { "a", "a:", ":1", "a:65536", "a:1x", "::1:2" } },
        { "WATCHTOWER_POLL_INTERVAL",
          { "60", "86400", "31536000" },
          { "59", "31536001", "1h", "-60", "+60", "6e4", "60 0", "99999999999999999999" } },
        { "PODMAN_USER", { "tc", "_x", "a-b_9" }, { "-a", "0a", "A", "a.b", "a b" } },
        { "CLOUD_CA_FILE", { "/a", "/a b/c.pem" }, { "a", "/", "./a", "/a/../b", "/a/..", "/a/" } },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const EnvRule *rule = env_rule_find(cases[i].key);

        assert_non_null(rule);
        for (const char *const *v = cases[i].good; v < cases[i].good + 8 && *v; v++)
            if (rule->check(*v) < 0)
                fail_msg("%s: refused %s", rule->key, *v);
        for (const char *const *v = cases[i].bad; v < cases[i].bad + 24 && *v; v++)
            if (rule->check(*v) == 0)
                fail_msg("%s: took %s", rule->key, *v);
        assert_true(rule->check("") < 0);
    }
    assert_null(env_rule_find("NOTHING"));
}

static void test_secrets_are_not_shown(void **state)
{
    (void) state;
    static const char *const texts[] = {
        SECBOX_OK "BOOTSTRAP=hunter2 x\n",
        SECBOX_OK "TUNNEL_TOKEN=hunter2 x\n",
        SECBOX_OK "DATABASE_URL=mysql://u:hunter2@a/b\n",
        SECBOX_OK "DATABASE_URL=postgresql://u:a/hunter2@a/b\n",
        "DEVICE_ID=a\nCLOUD_BASE_URL=https://u:hunter2@a\n",
        SECBOX_OK "FRIGATE_PASSWORD=hunter2 x\n",
        SECBOX_OK "X=hunter2${A}\n",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(env_freep) EnvFile *e = must_parse(texts[i]);
        Error err = {};

        assert_true(env_validate(e, ENV_SECBOX, NULL, &err) < 0);
        assert_null(strstr(err.message, "hunter2"));
        error_done(&err);
    }
    for (const EnvRule *rule = env_rules; rule->key; rule++)
        assert_int_equal(rule->secret, strstr(rule->key, "TOKEN") || strstr(rule->key, "BOOTSTRAP") ||
                                           strstr(rule->key, "ENROLMENT") || strstr(rule->key, "DATABASE") ||
                                           strstr(rule->key, "PASSWORD"));
}

static void test_derive(void **state)
{
    (void) state;
    _cleanup_(env_freep) EnvFile *agent = must_parse(AGENT_OK "PODMAN_USER=tc\nWATCHTOWER_POLL_INTERVAL=90\n");
    _cleanup_(env_freep) EnvFile *e = NULL;
    Error err = {};

    assert_int_equal(env_derive_secbox(agent, &e, &err), 0);
    _cleanup_(freep) char *text = env_print(e);
    assert_string_equal(text, "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\nBOOTSTRAP=b-t\n"
                              "DEVICE_GATEWAY_URL=wss://cloud.example/x/device\n");
    assert_int_equal(env_validate(e, ENV_SECBOX, NULL, &err), 0);

    _cleanup_(env_freep) EnvFile *bare = must_parse(
        "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta-5\nMGMT_GATEWAY_URL=wss://cloud.example/mgmt\n");
    _cleanup_(env_freep) EnvFile *without = NULL;
    assert_int_equal(env_derive_secbox(bare, &without, &err), 0);
    assert_null(env_get(without, "BOOTSTRAP"));
}

static void test_derive_refuses(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *id;
        const char *key;
    } cases[] = {
        { "", "env.missing-keys", "CLOUD_BASE_URL,DEVICE_ID,MGMT_GATEWAY_URL" },
        { SECBOX_OK, "env.missing-keys", "MGMT_GATEWAY_URL" },
        { SECBOX_OK "MGMT_GATEWAY_URL=wss://a/tunnel\n", "env.bad-gateway-url", "MGMT_GATEWAY_URL" },
        { SECBOX_OK "MGMT_GATEWAY_URL=${A}/mgmt\n", "env.source-invalid", "MGMT_GATEWAY_URL" },
        { AGENT_OK "OTHER=1\n", "env.source-invalid", "OTHER" },
        { AGENT_OK "PODMAN_USER=!\n", "env.source-invalid", "PODMAN_USER" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(env_freep) EnvFile *agent = must_parse(cases[i].text);
        EnvFile *e = NULL;
        Error err = {};

        assert_true(env_derive_secbox(agent, &e, &err) < 0);
        assert_null(e);
        assert_string_equal(err.id, cases[i].id);
        assert_string_equal(err.key, cases[i].key);
        assert_non_null(strstr(err.message, "mgmt-agent.env"));
        error_done(&err);
    }
}

static void test_derive_url(void **state)
{
    (void) state;
    _cleanup_(freep) char *url = NULL, *deep = NULL;
    char *none = NULL;
    Error err = {};

    assert_int_equal(env_derive_gateway_url("wss://h:1/mgmt", "recovery", &url, &err), 0);
    assert_string_equal(url, "wss://h:1/recovery");
    assert_int_equal(env_derive_gateway_url("ws://mgmt/mgmt/mgmt", "device", &deep, &err), 0);
    assert_string_equal(deep, "ws://mgmt/mgmt/device");
    for (const char *const *v = (const char *const[]) { "", "mgmt", "/mgmt", "wss://h/device", "https://h/mgmt", NULL };
         *v; v++) {
        assert_true(env_derive_gateway_url(*v, "device", &none, &err) < 0);
        assert_string_equal(err.id, "env.bad-gateway-url");
        error_done(&err);
    }
}

/* Run with UPDATE_EXAMPLES=1 to write the files anew after a change of the rules. */
static void test_examples(void **state)
{
    (void) state;
    static const struct {
        EnvFileKind kind;
        const char *path;
    } files[] = {
        { ENV_AGENT, "env/examples/mgmt-agent.env" },
        { ENV_SECBOX, "env/examples/secbox.env" },
    };

    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(freep) char *expected = env_print_example(files[i].kind), *text = NULL;
        _cleanup_(env_freep) EnvFile *e = must_parse(expected);
        Error err = {};

        assert_int_equal(env_validate(e, files[i].kind, NULL, &err), 0);
        if (getenv("UPDATE_EXAMPLES"))
            assert_int_equal(
                file_write_atomic(files[i].path, expected, strlen(expected), 0644, (uid_t) -1, (gid_t) -1, &err), 0);
        if (file_read(files[i].path, 65536, &text, NULL, &err) < 0)
            fail_msg("%s (unit tests run in the root of the tree)", err.message);
        assert_string_equal(text, expected);
    }
    for (const EnvRule *rule = env_rules; rule->key; rule++)
        if (rule->check(rule->example) < 0 || (rule->required & ~rule->kinds))
            fail_msg("%s: a bad example or bad flags", rule->key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_f04_refused),
        cmocka_unit_test(test_errors_never_hold_values),
        cmocka_unit_test(test_f04_limits),
        cmocka_unit_test(test_f04_dangerous_keys),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_f03_validate),
        cmocka_unit_test(test_missing_sentence),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_secrets_are_not_shown),
        cmocka_unit_test(test_derive),
        cmocka_unit_test(test_derive_refuses),
        cmocka_unit_test(test_derive_url),
        cmocka_unit_test(test_examples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

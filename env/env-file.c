/* SPDX-License-Identifier: MIT */
/* The strict NAME=value dialect. What python-dotenv, podman and systemd would read differently is refused, with the
 * line to write instead; values never appear in errors, because any of them may be a secret. */
#include "env/env-file.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "env/env-file-impl.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define BOM "\xEF\xBB\xBF"
#define PRINTED_MAX ((size_t) ENV_KEYS_MAX * (ENV_KEY_MAX + ENV_VALUE_MAX + 2))

typedef struct Entry {
    char *key;
    char *value;
    unsigned line;
} Entry;

struct EnvFile {
    Entry *entries;
    size_t n, cap;
};

EnvFile *env_new(void)
{
    return calloc(1, sizeof(EnvFile));
}

EnvFile *env_free(EnvFile *e)
{
    if (!e)
        return NULL;
    for (size_t i = 0; i < e->n; i++) {
        free(e->entries[i].key);
        secret_free(e->entries[i].value);
    }
    free(e->entries);
    free(e);
    return NULL;
}

size_t env_size(const EnvFile *e)
{
    return e->n;
}

const char *env_key_at(const EnvFile *e, size_t i)
{
    return i < e->n ? e->entries[i].key : NULL;
}

const char *env_value_at(const EnvFile *e, size_t i)
{
    return i < e->n ? e->entries[i].value : NULL;
}

unsigned env_line_at(const EnvFile *e, size_t i)
{
    return i < e->n ? e->entries[i].line : 0;
}

static Entry *find(const EnvFile *e, const char *key)
{
    for (size_t i = 0; i < e->n; i++)
        if (str_equal(e->entries[i].key, key))
            return &e->entries[i];
    return NULL;
}

const char *env_get(const EnvFile *e, const char *key)
{
    const Entry *entry = find(e, key);

    return entry ? entry->value : NULL;
}

static bool env_key_is_valid(const char *key)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t n = strspn(key, letters);

    return n > 0 && n <= ENV_KEY_MAX && key[n] == '\0' && !(key[0] >= '0' && key[0] <= '9');
}

/* Keys by which a file could steer the dynamic linker, a shell, Python, Go, podman or podman-compose. */
bool env_key_is_dangerous(const char *key)
{
    static const char *const patterns[] = {
        "LD_*",
        "PATH",
        "PYTHON*",
        "GODEBUG",
        "GOTRACEBACK",
        "GLIBC_*",
        "MALLOC_*",
        "GCONV_PATH",
        "LOCPATH",
        "NLSPATH",
        "IFS",
        "BASH_*",
        "SHELL",
        "HOME",
        "TMPDIR",
        "XDG_*",
        "DBUS_*",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
        "SSL_CERT_*",
        "OPENSSL_*",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "CONTAINERS_*",
        "CONTAINER_HOST",
        "CONTAINER_CONNECTION",
        "CONTAINER_SSHKEY",
        "STORAGE_DRIVER",
        "STORAGE_OPTS",
        "REGISTRY_AUTH_FILE",
        "PODMAN_USERNS",
        "PODMAN_CONNECTIONS_CONF",
        "PODMAN_COMPOSE*",
        "COMPOSE_*",
        "DOCKER_HOST",
        "DOCKER_CONFIG",
    };

    /* ours; podman-compose knows no such variable */
    if (strcmp(key, "COMPOSE_ENGINE") == 0)
        return false;
    for (size_t i = 0; i < ELEMENTSOF(patterns); i++)
        if (fnmatch(patterns[i], key, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

/* What is wrong with a text, and the words for it. */
typedef struct Fault {
    const char *id;
    const char *sentence;
} Fault;

/* C0, DEL, and in UTF-8: C1 (U+0080 to U+009F), the line separators U+2028 and U+2029. */
static bool has_control_character(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) text[i];

        if (c < 0x20 || c == 0x7F)
            return true;
        if (c == 0xC2 && i + 1 < len && (unsigned char) text[i + 1] < 0xA0)
            return true;
        if (len - i >= 3 && (memcmp(text + i, "\xE2\x80\xA8", 3) == 0 || memcmp(text + i, "\xE2\x80\xA9", 3) == 0))
            return true;
    }
    return false;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t count_blanks(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && is_blank(text[n]))
        n++;
    return n;
}

static bool has_comment(const char *value, size_t len)
{
    for (size_t i = 1; i < len; i++)
        if (value[i] == '#' && is_blank(value[i - 1]))
            return true;
    return false;
}

/* NULL when the value reads alike everywhere. A value of blanks alone passes: env_validate() judges it, because for a
 * required key it means "missing". */
static const Fault *value_fault(const char *value, size_t len)
{
    static const Fault faults[] = {
        { "env.value-too-long", "the value is longer than 4096 bytes" },
        { "env.white-space", "white space stands before or behind the value; write NAME=value without it" },
        { "env.control-character", "the value holds a control character (a tab, or from a Windows editor a carriage "
                                   "return); remove it" },
        { "env.quotes", "the value is in quotes, which would become part of it; write NAME=value without quotes" },
        { "env.comment", "a # behind white space starts a comment for some readers; put comments on their own line" },
        { "env.backslash", "the value holds a backslash, which systemd would take away; use a value without" },
    };

    if (len > ENV_VALUE_MAX)
        return &faults[0];
    if (count_blanks(value, len) == len)
        return NULL;
    if (is_blank(value[0]) || is_blank(value[len - 1]))
        return &faults[1];
    if (has_control_character(value, len))
        return &faults[2];
    if (is_quote(value[0]) || is_quote(value[len - 1]))
        return &faults[3];
    if (has_comment(value, len))
        return &faults[4];
    if (memchr(value, '\\', len))
        return &faults[5];
    return NULL;
}

int env_file_add(EnvFile *e, const char *key, const char *value, size_t value_len, unsigned line)
{
    Entry entry = { .line = line };

    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 16;
        Entry *grown = reallocarray(e->entries, cap, sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        e->entries = grown;
        e->cap = cap;
    }
    entry.key = strdup(key);
    entry.value = strndup(value, value_len);
    if (!entry.key || !entry.value) {
        free(entry.key);
        secret_free(entry.value);
        return -ENOMEM;
    }
    e->entries[e->n++] = entry;
    return 0;
}

typedef struct Line {
    const char *file;
    unsigned number;
    const char *text;
    size_t len;
} Line;

static int line_fail(const Line *line, Error *err, const char *id, const char *key, const char *sentence)
{
    const char *file = line->file ? line->file : "env file";

    if (key)
        return error_set_at(err, EINVAL, id, line->file, line->number, key, "%s line %u: %s: %s", file, line->number,
                            key, sentence);
    return error_set_at(err, EINVAL, id, line->file, line->number, NULL, "%s line %u: %s", file, line->number,
                        sentence);
}

/* The key before '='. It is copied, so that it can be shown; what stands there instead of a key is not shown. */
static int parse_key(const Line *line, char key[static ENV_KEY_MAX + 1], Error *err)
{
    const char *equals = memchr(line->text, '=', line->len);
    size_t len = equals ? (size_t) (equals - line->text) : 0;

    if (line->len > 6 && memcmp(line->text, "export", 6) == 0 && is_blank(line->text[6]))
        return line_fail(line, err, "env.export", NULL, "remove the word \"export\"; write NAME=value");
    if (!equals)
        return line_fail(line, err, "env.syntax", NULL, "there is no '='; write NAME=value, or # before a comment");
    if (len > 0 && (is_blank(line->text[0]) || is_blank(line->text[len - 1])))
        return line_fail(line, err, "env.syntax", NULL, "white space stands around the key; write NAME=value");
    if (len == 0 || len > ENV_KEY_MAX)
        return line_fail(line, err, "env.syntax", NULL, "the key before '=' must have 1 to 64 characters");
    memcpy(key, line->text, len);
    key[len] = '\0';
    if (strlen(key) != len || !env_key_is_valid(key))
        return line_fail(line, err, "env.syntax", NULL,
                         "the key before '=' may only hold letters, digits and _, and not start with a digit");
    return 0;
}

static int parse_line(EnvFile *e, const Line *line, Error *err)
{
    char key[ENV_KEY_MAX + 1];
    const Fault *fault;
    size_t key_len, blanks = count_blanks(line->text, line->len);
    int r;

    if (memchr(line->text, '\0', line->len))
        return line_fail(line, err, "env.control-character", NULL, "the line holds a NUL byte; remove it");
    if (line->len > 0 && line->text[line->len - 1] == '\r')
        return line_fail(line, err, "env.control-character", NULL,
                         "the line ends in a carriage return (Windows line ends); save the file with Unix line ends");
    if (blanks == line->len || line->text[blanks] == '#')
        return 0;
    r = parse_key(line, key, err);
    if (r < 0)
        return r;
    if (env_key_is_dangerous(key))
        return line_fail(line, err, "env.dangerous-key", key,
                         "this key would steer podman or the programs around it; use another name");
    if (find(e, key))
        return line_fail(line, err, "env.duplicate-key", key, "the key stands in the file twice; keep one line");
    key_len = strlen(key) + 1;
    fault = value_fault(line->text + key_len, line->len - key_len);
    if (fault)
        return line_fail(line, err, fault->id, key, fault->sentence);
    if (e->n == ENV_KEYS_MAX)
        return line_fail(line, err, "env.too-large", key, "the file has more than 1024 keys");
    r = env_file_add(e, key, line->text + key_len, line->len - key_len, line->number);
    return r < 0 ? error_from_errno(err, r, "cannot keep an env file in memory") : 0;
}

int env_parse(const char *text, size_t len, const char *file, EnvFile **ret, Error *err)
{
    _cleanup_(env_freep) EnvFile *e = env_new();
    Line line = { .file = file, .number = 1 };

    if (!e)
        return error_from_errno(err, -ENOMEM, "cannot keep an env file in memory");
    if (len > ENV_FILE_SIZE_MAX)
        return error_set_at(err, EFBIG, "env.too-large", file, 0, NULL, "%s has %zu bytes; at most %d are accepted",
                            file ? file : "the env file", len, ENV_FILE_SIZE_MAX);
    if (len >= 3 && memcmp(text, BOM, 3) == 0)
        return line_fail(&line, err, "env.control-character", NULL,
                         "the file starts with a byte order mark; save it as UTF-8 without one");
    for (size_t pos = 0; pos < len; line.number++) {
        const char *end = memchr(text + pos, '\n', len - pos);
        int r;

        line.text = text + pos;
        line.len = end ? (size_t) (end - line.text) : len - pos;
        if (!utf8_is_valid(line.text, line.len))
            return line_fail(&line, err, "env.not-utf8", NULL, "the line is not valid UTF-8");
        r = parse_line(e, &line, err);
        if (r < 0)
            return r;
        pos += line.len + 1;
    }
    *ret = TAKE_PTR(e);
    return 0;
}

int env_file_read(const char *path, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(error_done) Error read_err = {};
    int r = file_read(path, ENV_FILE_SIZE_MAX, ret, ret_len, &read_err);

    if (r == -ENOENT)
        return error_set_at(err, ENOENT, "env.missing", path, 0, NULL, "%s does not exist", path);
    if (r == -EFBIG)
        return error_set_at(err, EFBIG, "env.too-large", path, 0, NULL, "%s has more than %d bytes", path,
                            ENV_FILE_SIZE_MAX);
    return r < 0 ? error_set_at(err, r, error_id(&read_err), path, 0, NULL, "%s", error_message(&read_err, r)) : 0;
}

int env_load(const char *path, EnvFile **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = env_file_read(path, &text, &len, err);

    return r < 0 ? r : env_parse(text, len, path, ret, err);
}

const char *env_value_fault(const char *value)
{
    size_t len = strlen(value);
    const Fault *fault = value_fault(value, len);

    if (fault)
        return fault->sentence;
    return utf8_is_valid(value, len) && !strchr(value, '\n') ? NULL : "the value is not valid UTF-8 on one line";
}

int env_set(EnvFile *e, const char *key, const char *value, Error *err)
{
    const char *fault = env_value_fault(value);
    Entry *entry = find(e, key);
    char *copy;

    if (!env_key_is_valid(key) || env_key_is_dangerous(key))
        return error_set_at(err, EINVAL, "env.bad-value", NULL, 0, key, "%.64s cannot be a key of an env file", key);
    if (fault)
        return error_set_at(err, EINVAL, "env.bad-value", NULL, 0, key, "%s: %s", key, fault);
    if (!entry && e->n == ENV_KEYS_MAX)
        return error_set_at(err, EINVAL, "env.bad-value", NULL, 0, key, "%s: an env file has at most %d keys", key,
                            ENV_KEYS_MAX);
    if (!entry && env_file_add(e, key, value, strlen(value), 0) < 0)
        return error_from_errno(err, -ENOMEM, "cannot keep an env file in memory");
    if (!entry)
        return 0;
    copy = strdup(value);
    if (!copy)
        return error_from_errno(err, -ENOMEM, "cannot keep an env file in memory");
    secret_free(entry->value);
    entry->value = copy;
    entry->line = 0;
    return 0;
}

char *env_print(const EnvFile *e)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(PRINTED_MAX);

    for (size_t i = 0; i < e->n; i++)
        if (buf_printf(&b, "%s=%s\n", e->entries[i].key, e->entries[i].value) < 0)
            return NULL;
    return buf_take(&b);
}

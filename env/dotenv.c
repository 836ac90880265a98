/* SPDX-License-Identifier: MIT */
#include "env/dotenv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "env/env-file-impl.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define BOM "\xEF\xBB\xBF"
#define PRINTED_MAX ((size_t) ENV_KEYS_MAX * (ENV_NAME_MAX + 2 * ENV_VALUE_MAX + 4))

typedef struct Reader {
    const char *file;
    const char *pos, *end;
    unsigned line;
    char key[ENV_NAME_MAX + 1];
    Error *err;
} Reader;

static int fail(const Reader *r, const char *id, const char *key, const char *sentence)
{
    const char *file = r->file ? r->file : "env file";

    return error_set_at(r->err, EINVAL, id, r->file, r->line, key, "%s line %u: %s%s%s", file, r->line, key ? key : "",
                        key ? ": " : "", sentence);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(Reader *r)
{
    while (r->pos < r->end && is_blank(*r->pos))
        r->pos++;
}

/* Where the line ends, without the CR of a Windows editor. */
static const char *line_end(const Reader *r)
{
    const char *newline = memchr(r->pos, '\n', (size_t) (r->end - r->pos));
    const char *end = newline ? newline : r->end;

    return end > r->pos && end[-1] == '\r' ? end - 1 : end;
}

static void next_line(Reader *r)
{
    const char *newline = memchr(r->pos, '\n', (size_t) (r->end - r->pos));

    r->pos = newline ? newline + 1 : r->end;
    r->line++;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

/* `export`, the key, and '='. */
static int read_key(Reader *r)
{
    const char *end = line_end(r);
    size_t len = 0;

    if (end - r->pos > 6 && memcmp(r->pos, "export", 6) == 0 && is_blank(r->pos[6])) {
        r->pos += 6;
        skip_blanks(r);
    }
    while (r->pos + len < end && is_name_character(r->pos[len]))
        len++;
    if (len > ENV_NAME_MAX)
        return fail(r, "env.syntax", NULL, "the key before '=' is longer than 255 characters");
    memcpy(r->key, r->pos, len);
    r->key[len] = '\0';
    r->pos += len;
    skip_blanks(r);
    if (!memchr(r->pos, '=', (size_t) (end > r->pos ? end - r->pos : 0)))
        return fail(r, "env.syntax", NULL, "there is no '='; write NAME=value, or # before a comment");
    if (len == 0 || *r->pos != '=' || !(isalpha((unsigned char) r->key[0]) || r->key[0] == '_'))
        return fail(
            r, "env.syntax", NULL,
            "the key before '=' may only hold letters, digits, '_', '.' and '-', and starts with a letter or _");
    r->pos++;
    skip_blanks(r);
    return 0;
}

/* C0 save tab and line break, DEL; in UTF-8 C1 and the separators U+2028 and U+2029. */
static bool has_control_character(const char *s, size_t len, bool quoted)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) s[i];

        if ((c < 0x20 && !(quoted && (c == '\t' || c == '\n' || c == '\r'))) || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < len && (unsigned char) s[i + 1] < 0xa0)
            return true;
        if (len - i >= 3 && (memcmp(s + i, "\xe2\x80\xa8", 3) == 0 || memcmp(s + i, "\xe2\x80\xa9", 3) == 0))
            return true;
    }
    return false;
}

static int keep(Reader *r, EnvFile *e, const char *value, size_t len, unsigned line, bool quoted)
{
    int k;

    if (len > ENV_VALUE_MAX)
        return fail(r, "env.value-too-long", r->key, "the value is longer than 4096 bytes");
    if (has_control_character(value, len, quoted))
        return fail(r, "env.control-character", r->key,
                    has_control_character(value, len, true)
                        ? "the value holds a control character; remove it"
                        : "the value holds a tab or a carriage return; put the value into quotes");
    k = env_file_add(e, r->key, value, len, line);
    return k < 0 ? error_from_errno(r->err, k, "cannot keep an env file in memory") : 0;
}

static int read_plain(Reader *r, EnvFile *e)
{
    const char *start = r->pos, *end = line_end(r), *stop = start;

    /* a # at the very start belongs to the value, unless white space stands before it */
    if (start < end && *start == '#' && is_blank(start[-1]))
        return keep(r, e, start, 0, r->line, false);
    while (stop < end && !(*stop == '#' && stop > start && is_blank(stop[-1])))
        stop++;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    return keep(r, e, start, (size_t) (stop - start), r->line, false);
}

/* One character of a value in double quotes; what no rule knows keeps its backslash. */
static size_t unescape(const char *s, size_t left, char *out)
{
    static const char from[] = "nrt\"\\$", to[] = "\n\r\t\"\\$";
    const char *known = *s == '\\' && left > 1 && s[1] ? strchr(from, s[1]) : NULL;

    *out = known ? to[known - from] : *s;
    return known ? 2 : 1;
}

static int read_quoted(Reader *r, EnvFile *e)
{
    char quote = *r->pos++;
    unsigned line = r->line;
    _cleanup_(secret_freep) char *value = malloc((size_t) (r->end - r->pos) + 1);
    size_t len = 0;
    int k;

    if (!value)
        return error_from_errno(r->err, -ENOMEM, "cannot keep an env file in memory");
    while (r->pos < r->end && *r->pos != quote) {
        if (*r->pos == '\n')
            r->line++;
        value[len] = *r->pos;
        r->pos += quote == '"' ? unescape(r->pos, (size_t) (r->end - r->pos), &value[len]) : 1;
        len++;
    }
    value[len] = '\0';
    if (r->pos == r->end) {
        r->line = line;
        return fail(r, "env.syntax", r->key, "a quote is opened and never closed");
    }
    r->pos++;
    k = keep(r, e, value, len, line, true);
    if (k < 0)
        return k;
    skip_blanks(r);
    if (r->pos < line_end(r) && *r->pos != '#')
        return fail(r, "env.syntax", r->key,
                    "something stands behind the closing quote; remove it, or put it into the "
                    "quotes");
    return 0;
}

static int read_line(Reader *r, EnvFile *e)
{
    int k;

    skip_blanks(r);
    if (r->pos == line_end(r) || *r->pos == '#')
        return 0;
    k = read_key(r);
    if (k < 0)
        return k;
    if (env_get(e, r->key))
        return fail(r, "env.duplicate-key", r->key, "the key stands in the file twice; keep one line");
    if (env_size(e) == ENV_KEYS_MAX)
        return fail(r, "env.too-large", r->key, "the file has more than 1024 keys");
    return r->pos < r->end && (*r->pos == '"' || *r->pos == '\'') ? read_quoted(r, e) : read_plain(r, e);
}

/* The first line that is not text in UTF-8, or holds a NUL byte; 0: none is. */
static unsigned line_of_no_text(const char *text, size_t len)
{
    unsigned line = 1;

    for (size_t pos = 0; pos < len; line++) {
        const char *end = memchr(text + pos, '\n', len - pos);
        size_t n = end ? (size_t) (end - text) - pos : len - pos;

        if (!utf8_is_valid(text + pos, n) || memchr(text + pos, '\0', n))
            return line;
        pos += n + 1;
    }
    return 0;
}

int dotenv_parse(const char *text, size_t len, const char *file, EnvFile **ret, Error *err)
{
    _cleanup_(env_freep) EnvFile *e = env_new();
    Reader r = { .file = file, .pos = text, .end = text + len, .line = 1, .err = err };
    unsigned bad;

    if (!e)
        return error_from_errno(err, -ENOMEM, "cannot keep an env file in memory");
    if (len > ENV_FILE_SIZE_MAX)
        return error_set_at(err, EFBIG, "env.too-large", file, 0, NULL, "%s has %zu bytes; at most %d are accepted",
                            file ? file : "the env file", len, ENV_FILE_SIZE_MAX);
    bad = line_of_no_text(text, len);
    if (bad > 0)
        return error_set_at(err, EINVAL, "env.not-utf8", file, bad, NULL,
                            "%s line %u is not text in UTF-8; save the file as UTF-8", file ? file : "the env file",
                            bad);
    if (len >= 3 && memcmp(text, BOM, 3) == 0)
        r.pos += 3;
    while (r.pos < r.end) {
        int k = read_line(&r, e);

        if (k < 0)
            return k;
        next_line(&r);
    }
    *ret = TAKE_PTR(e);
    return 0;
}

int dotenv_load(const char *path, EnvFile **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(env_freep) EnvFile *e = NULL;
    size_t len = 0;
    int r = env_file_read(path, &text, &len, err);

    if (r >= 0)
        r = dotenv_parse(text, len, path, &e, err);
    for (size_t i = 0; r >= 0 && i < env_size(e); i++)
        if (env_key_is_dangerous(env_key_at(e, i)))
            return error_set_at(err, EINVAL, "env.dangerous-key", path, env_line_at(e, i), env_key_at(e, i),
                                "%s line %u: %s: this key would steer podman or the programs around it; use another "
                                "name, or set it under `environment` of the service that needs it",
                                path, env_line_at(e, i), env_key_at(e, i));
    if (r >= 0)
        *ret = TAKE_PTR(e);
    return r;
}

static int print_value(Buf *b, const char *value)
{
    int r = buf_puts(b, "\"");

    for (const char *p = value; r >= 0 && *p; p++) {
        static const char from[] = "\n\r\t\"\\$", to[] = "nrt\"\\$";
        const char *known = strchr(from, *p);

        r = known ? buf_printf(b, "\\%c", to[known - from]) : buf_append(b, p, 1);
    }
    return r < 0 ? r : buf_puts(b, "\"\n");
}

char *dotenv_print(const EnvFile *e)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(PRINTED_MAX);
    int r = buf_puts(&b, "");

    for (size_t i = 0; r >= 0 && i < env_size(e); i++) {
        r = buf_printf(&b, "%s=", env_key_at(e, i));
        if (r >= 0)
            r = print_value(&b, env_value_at(e, i));
    }
    return r < 0 ? NULL : buf_take(&b);
}

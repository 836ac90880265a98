/* SPDX-License-Identifier: MIT */
/* One pass, no tree: configuration files are small, and what we want of them is a handful of values. */
#include "lib/data/toml.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define NAME_MAX_BYTES 1024
#define ARRAY_DEPTH_MAX 4

typedef struct Toml {
    const char *p, *end, *file;
    unsigned line;
    Buf table, key, value;
    toml_value_t on_value;
    void *userdata;
    Error *err;
} Toml;

static int bad(Toml *t, const char *what)
{
    return error_set_at(t->err, EINVAL, "toml.syntax", t->file, t->line, NULL, "%s", what);
}

static int unsupported(Toml *t, const char *what)
{
    return error_set_at(t->err, ENOTSUP, "toml.unsupported", t->file, t->line, NULL, "%s are not understood here",
                        what);
}

static int peek(const Toml *t)
{
    return t->p < t->end ? (unsigned char) *t->p : -1;
}

static bool starts(const Toml *t, const char *word)
{
    size_t len = strlen(word);

    return (size_t) (t->end - t->p) >= len && memcmp(t->p, word, len) == 0;
}

static void skip_blank(Toml *t)
{
    while (peek(t) == ' ' || peek(t) == '\t')
        t->p++;
}

static void skip_comment(Toml *t)
{
    if (peek(t) == '#')
        while (t->p < t->end && *t->p != '\n')
            t->p++;
}

static int end_of_line(Toml *t)
{
    skip_blank(t);
    skip_comment(t);
    if (starts(t, "\r\n"))
        t->p++;
    if (t->p == t->end)
        return 0;
    if (*t->p != '\n')
        return bad(t, "something stands behind the value");
    t->p++;
    t->line++;
    return 0;
}

/* Blank space, comments and line ends, as they may stand inside an array. */
static void skip_lines(Toml *t)
{
    for (;;) {
        skip_blank(t);
        skip_comment(t);
        if (starts(t, "\r\n"))
            t->p++;
        if (peek(t) != '\n')
            return;
        t->p++;
        t->line++;
    }
}

static int put(Toml *t, Buf *b, const char *data, size_t len)
{
    int r = buf_append(b, data, len);

    return r == -EMSGSIZE ? bad(t, "a name or value is too long") : r;
}

static int read_escape(Toml *t, Buf *b)
{
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    const char *at = peek(t) > 0 ? strchr(from, peek(t)) : NULL;

    if (!at)
        return unsupported(t, "escapes by number");
    t->p++;
    return put(t, b, &to[at - from], 1);
}

static int read_string(Toml *t, Buf *b)
{
    char quote = *t->p;
    int r = 0;

    if (starts(t, "\"\"\"") || starts(t, "'''"))
        return unsupported(t, "strings of several lines");
    t->p++;
    for (buf_clear(b); r == 0 && t->p < t->end && *t->p != quote;) {
        if (*t->p == '\\' && quote == '"') {
            t->p++;
            r = read_escape(t, b);
        } else if ((unsigned char) *t->p < ' ' && *t->p != '\t') {
            return bad(t, "a string does not end on its line");
        } else {
            r = put(t, b, t->p++, 1);
        }
    }
    if (r < 0)
        return r;
    if (t->p == t->end)
        return bad(t, "a string does not end");
    t->p++;
    return put(t, b, "", 0);
}

static int read_bare(Toml *t, Buf *b)
{
    const char *from = t->p;

    while (t->p < t->end && (isalnum((unsigned char) *t->p) || *t->p == '_' || *t->p == '-'))
        t->p++;
    if (t->p == from)
        return bad(t, "a name is expected");
    buf_clear(b);
    return put(t, b, from, (size_t) (t->p - from));
}

static int read_name(Toml *t, Buf *b)
{
    return peek(t) == '"' || peek(t) == '\'' ? read_string(t, b) : read_bare(t, b);
}

static int tell(Toml *t, const char *key, TomlType type, const char *value)
{
    return t->on_value(t->table.data ? t->table.data : "", key, type, value, t->line, t->userdata);
}

/* [a.b] or [[a.b]] */
static int read_table(Toml *t)
{
    bool array = starts(t, "[[");
    int r;

    t->p += array ? 2 : 1;
    buf_clear(&t->table);
    for (;;) {
        skip_blank(t);
        r = read_name(t, &t->key);
        if (r == 0 && t->table.len > 0)
            r = put(t, &t->table, ".", 1);
        if (r == 0)
            r = put(t, &t->table, t->key.data ? t->key.data : "", t->key.len);
        if (r < 0)
            return r;
        skip_blank(t);
        if (peek(t) != '.')
            break;
        t->p++;
    }
    if (!starts(t, array ? "]]" : "]"))
        return bad(t, "the name of a table does not end with its bracket");
    t->p += array ? 2 : 1;
    r = tell(t, "", TOML_TABLE, "");
    return r == 0 ? end_of_line(t) : r;
}

static int read_scalar(Toml *t)
{
    const char *from = t->p;
    TomlType type = TOML_NUMBER;
    int r;

    if (peek(t) == '"' || peek(t) == '\'') {
        r = read_string(t, &t->value);
        return r < 0 ? r : tell(t, t->key.data, TOML_STRING, t->value.data ? t->value.data : "");
    }
    if (peek(t) == '{')
        return unsupported(t, "inline tables");
    while (t->p < t->end && (isalnum((unsigned char) *t->p) || strchr("+-._", *t->p)) && *t->p)
        t->p++;
    buf_clear(&t->value);
    r = put(t, &t->value, from, (size_t) (t->p - from));
    if (r < 0)
        return r;
    if (t->value.len == 0)
        return bad(t, "a value is expected");
    if (str_equal(t->value.data, "true") || str_equal(t->value.data, "false"))
        type = TOML_BOOLEAN;
    else if (strspn(t->value.data, "+-0123456789_.") != t->value.len)
        return bad(t, "a value is neither a string nor a number, true or false");
    return tell(t, t->key.data, type, t->value.data);
}

static int read_value(Toml *t, unsigned depth)
{
    int r;

    if (peek(t) != '[')
        return read_scalar(t);
    if (depth == ARRAY_DEPTH_MAX)
        return unsupported(t, "arrays that deep");
    t->p++;
    for (;;) {
        skip_lines(t);
        if (peek(t) == ']')
            break;
        r = read_value(t, depth + 1);
        if (r != 0)
            return r;
        skip_lines(t);
        if (peek(t) == ',')
            t->p++;
        else if (peek(t) != ']')
            return bad(t, "an array does not end");
    }
    t->p++;
    return 0;
}

static int read_assignment(Toml *t)
{
    int r = read_name(t, &t->key);

    if (r < 0)
        return r;
    skip_blank(t);
    if (peek(t) == '.')
        return unsupported(t, "keys with a dot");
    if (peek(t) != '=')
        return bad(t, "a name is not followed by \"=\"");
    t->p++;
    skip_blank(t);
    if (!t->key.data)
        r = put(t, &t->key, "", 0);
    if (r == 0)
        r = read_value(t, 0);
    return r == 0 ? end_of_line(t) : r;
}

int toml_read(const char *text, size_t len, const char *file, toml_value_t on_value, void *userdata, Error *err)
{
    Toml t = { .p = text,
               .end = text + len,
               .file = file,
               .line = 1,
               .table = BUF_INIT(NAME_MAX_BYTES),
               .key = BUF_INIT(NAME_MAX_BYTES),
               .value = BUF_INIT(ENV_VALUE_MAX),
               .on_value = on_value,
               .userdata = userdata,
               .err = err };
    int r = 0;

    if (memchr(text, '\0', len) || !utf8_is_valid(text, len))
        r = bad(&t, "the file is no text in UTF-8");
    while (r == 0) {
        skip_lines(&t);
        if (t.p == t.end)
            break;
        r = *t.p == '[' ? read_table(&t) : read_assignment(&t);
    }
    buf_done(&t.table);
    buf_done(&t.key);
    buf_done(&t.value);
    return r;
}

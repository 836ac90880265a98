/* SPDX-License-Identifier: MIT */
/* The grammar of RFC 8259 in one linear pass with an explicit stack. cJSON alone accepts much that is not JSON. */
#include "lib/data/json-scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/limits.h"

/* cJSON copies a number into 64 bytes before converting it and would cut a longer one. */
#define NUMBER_LENGTH_MAX 60

typedef struct Scan {
    const char *text;
    size_t len, pos;
    size_t values;
    unsigned depth;
    char closers[JSON_DEPTH_MAX]; /* what each open level must end with */
} Scan;

static int scan_fail_as(const Scan *s, Error *err, const char *id, const char *what)
{
    unsigned line = 1;

    for (size_t i = 0; i < s->pos && i < s->len; i++)
        line += s->text[i] == '\n';
    return error_set_at(err, EBADMSG, id, NULL, line, NULL, "JSON line %u: %s", line, what);
}

static int scan_fail(const Scan *s, Error *err, const char *what)
{
    return scan_fail_as(s, err, "json.syntax", what);
}

static int peek(const Scan *s)
{
    return s->pos < s->len ? (unsigned char) s->text[s->pos] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static void scan_space(Scan *s)
{
    for (int c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(s))
        s->pos++;
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits behind \u, or -1. */
static int scan_hex4(Scan *s)
{
    int value = 0;

    for (unsigned i = 0; i < 4; i++, s->pos++) {
        int digit = hex_value(peek(s));

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* After "\u". A lone surrogate is not a character, and a NUL would cut short the C string that cJSON makes. */
static int scan_unicode_escape(Scan *s, Error *err)
{
    int unit = scan_hex4(s);

    if (unit < 0)
        return scan_fail(s, err, "\\u must be followed by four hexadecimal digits");
    if (unit == 0)
        return scan_fail(s, err, "\\u0000 is not accepted in a string");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return scan_fail(s, err, "a low surrogate without the high one before it");
    if (unit < 0xD800 || unit > 0xDBFF)
        return 0;
    if (s->len - s->pos < 2 || s->text[s->pos] != '\\' || s->text[s->pos + 1] != 'u')
        return scan_fail(s, err, "a high surrogate without the low one behind it");
    s->pos += 2;
    unit = scan_hex4(s);
    if (unit < 0xDC00 || unit > 0xDFFF)
        return scan_fail(s, err, "a high surrogate without the low one behind it");
    return 0;
}

/* At the opening quote. */
static int scan_string(Scan *s, Error *err)
{
    int r;

    for (s->pos++;;) {
        int c = peek(s);

        if (c < 0)
            return scan_fail(s, err, "the text ends inside a string");
        if (c < 0x20)
            return scan_fail(s, err, "a raw control character inside a string; write it as \\n, \\t or \\u00XX");
        s->pos++;
        if (c == '"')
            return 0;
        if (c != '\\')
            continue;
        c = peek(s);
        if (c <= 0 || !strchr("\"\\/bfnrtu", c))
            return scan_fail(s, err, "an unknown escape behind a backslash");
        s->pos++;
        if (c == 'u') {
            r = scan_unicode_escape(s, err);
            if (r < 0)
                return r;
        }
    }
}

static size_t scan_digits(Scan *s)
{
    size_t start = s->pos;

    while (is_digit(peek(s)))
        s->pos++;
    return s->pos - start;
}

static int scan_number(Scan *s, Error *err)
{
    size_t start = s->pos;

    if (peek(s) == '-')
        s->pos++;
    if (peek(s) == '0')
        s->pos++;
    else if (scan_digits(s) == 0)
        return scan_fail(s, err, "a value was expected");
    if (is_digit(peek(s)))
        return scan_fail(s, err, "a number with a leading zero");
    if (peek(s) == '.') {
        s->pos++;
        if (scan_digits(s) == 0)
            return scan_fail(s, err, "a number that ends in its decimal point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->pos++;
        if (scan_digits(s) == 0)
            return scan_fail(s, err, "a number without digits in its exponent");
    }
    if (s->pos - start > NUMBER_LENGTH_MAX)
        return scan_fail(s, err, "a number of more than 60 characters");
    return 0;
}

static int scan_scalar(Scan *s, Error *err)
{
    static const char *const words[] = { "true", "false", "null" };

    if (peek(s) == '"')
        return scan_string(s, err);
    for (size_t i = 0; i < ELEMENTSOF(words); i++) {
        size_t n = strlen(words[i]);

        if (s->len - s->pos >= n && memcmp(s->text + s->pos, words[i], n) == 0) {
            s->pos += n;
            return 0;
        }
    }
    return scan_number(s, err);
}

/* A member's key and colon, up to its value. */
static int scan_key(Scan *s, Error *err)
{
    int r;

    if (peek(s) != '"')
        return scan_fail(s, err, "a member of an object must start with a key in double quotes");
    r = scan_string(s, err);
    if (r < 0)
        return r;
    scan_space(s);
    if (peek(s) != ':')
        return scan_fail(s, err, "a colon was expected behind a key");
    s->pos++;
    scan_space(s);
    return 0;
}

/* At a bracket: 1 when the level is open and a value follows, 0 when it was empty. */
static int scan_open(Scan *s, Error *err)
{
    char closer = s->text[s->pos] == '{' ? '}' : ']';

    if (s->depth == JSON_DEPTH_MAX)
        return scan_fail_as(s, err, "json.too-deep", "nested deeper than 32 levels");
    s->pos++;
    scan_space(s);
    if (peek(s) == closer) {
        s->pos++;
        return 0;
    }
    s->closers[s->depth++] = closer;
    if (closer == '}') {
        int r = scan_key(s, err);

        if (r < 0)
            return r;
    }
    return 1;
}

/* Behind a value: 1 when another one follows, 0 at the end of the document. */
static int scan_after_value(Scan *s, Error *err)
{
    for (;;) {
        char closer;

        scan_space(s);
        if (s->depth == 0)
            return s->pos == s->len ? 0 : scan_fail(s, err, "something follows the end of the value");
        closer = s->closers[s->depth - 1];
        if (peek(s) == ',') {
            s->pos++;
            scan_space(s);
            if (closer == '}') {
                int r = scan_key(s, err);

                if (r < 0)
                    return r;
            }
            return 1;
        }
        if (peek(s) != closer)
            return scan_fail(s, err, closer == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
        s->pos++;
        s->depth--;
    }
}

static int scan_document(Scan *s, Error *err)
{
    int r = 1;

    scan_space(s);
    if (s->pos == s->len)
        return scan_fail(s, err, "there is no value");
    while (r > 0) {
        if (++s->values > JSON_VALUES_MAX)
            return scan_fail_as(s, err, "json.too-large", "more values than are accepted in one text");
        if (peek(s) == '{' || peek(s) == '[') {
            r = scan_open(s, err);
            if (r != 0)
                continue;
        } else {
            r = scan_scalar(s, err);
            if (r < 0)
                break;
        }
        r = scan_after_value(s, err);
    }
    return r;
}

int json_scan(const char *text, size_t len, Error *err)
{
    Scan scan = { .text = text, .len = len };

    return scan_document(&scan, err);
}

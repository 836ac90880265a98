/* SPDX-License-Identifier: MIT */
/* Text for terminals: replaces what would let a box or a file steer the terminal of the person who reads it. */
#include "lib/base/text.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"

/* The length of a character that a terminal acts on, or that shows nothing and so makes two texts look alike: U+0080–U+009F,
 * U+061C, U+200B–U+200F, U+2028–U+202E, U+2060–U+2069, U+FEFF. 0 for others; `s` is valid UTF-8. */
static size_t hidden_sequence(const unsigned char *s)
{
    if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f)
        return 2;
    if (s[0] == 0xd8 && s[1] == 0x9c)
        return 2;
    if (s[0] == 0xe2 && s[1] == 0x80 && ((s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae)))
        return 3;
    if (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa0 && s[2] <= 0xa9)
        return 3;
    return s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf ? 3 : 0;
}

bool text_is_plain(const char *text)
{
    if (!utf8_is_valid(text, strlen(text)))
        return false;
    for (const unsigned char *s = (const unsigned char *) text; *s; s++)
        if (*s < 0x20 || *s == 0x7f || (*s >= 0x80 && hidden_sequence(s)))
            return false;
    return true;
}

bool text_is_shell_word(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._@+-";

    return text[0] && text[0] != '-' && text[strspn(text, plain)] == '\0';
}

char *text_escape_json(const char *json)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(strlen(json) * 6 + 1);
    int r = 0;

    if (!utf8_is_valid(json, strlen(json)))
        return NULL;
    for (const unsigned char *s = (const unsigned char *) json; *s && r == 0;) {
        size_t n = *s == 0x7f ? 1 : *s >= 0x80 ? hidden_sequence(s) : 0;
        unsigned code = n == 1   ? s[0]
                        : n == 2 ? (s[0] & 0x1fU) << 6 | (s[1] & 0x3fU)
                        : n == 3 ? (s[0] & 0x0fU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU)
                                 : 0;

        r = n > 0 ? buf_printf(&out, "\\u%04x", code) : buf_append(&out, s, 1);
        s += n > 0 ? n : 1;
    }
    return r < 0 ? NULL : buf_take(&out);
}

char *text_printable(const char *text)
{
    if (!text)
        text = "";
    size_t len = strlen(text), n = 0;
    char *out = malloc(len + 1);
    if (!out)
        return NULL;

    bool utf8 = utf8_is_valid(text, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) text[i];
        size_t hidden = utf8 && c >= 0x80 ? hidden_sequence((const unsigned char *) text + i) : 0;

        if (c == '\n' || c == '\t')
            out[n++] = ' ';
        else if (c < 0x20 || c == 0x7f || hidden || (c >= 0x80 && !utf8))
            out[n++] = '?';
        else
            out[n++] = text[i];
        if (hidden)
            i += hidden - 1;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return out;
}

/* Behind the sequence that begins at the ESC `s`; one that has no end goes to the end of the text. */
static const char *escape_end(const char *s)
{
    const char *p = s + 1;

    if (*p == '[') {
        p++;
        while (*p >= 0x20 && *p <= 0x3f)
            p++;
        return *p >= 0x40 && *p <= 0x7e ? p + 1 : p;
    }
    if (*p == ']' || *p == 'P') {
        while (*p && *p != '\a' && !(p[0] == '\033' && p[1] == '\\'))
            p++;
        return *p == '\a' ? p + 1 : *p ? p + 2 : p;
    }
    while (*p >= 0x20 && *p <= 0x2f)
        p++;
    return *p >= 0x30 && *p <= 0x7e ? p + 1 : p;
}

void text_drop_escapes(char *text)
{
    const char *from = text;
    char *to = text;

    while (*from)
        if (*from == '\033')
            from = escape_end(from);
        else
            *to++ = *from++;
    while (to > text && to[-1] == '\r')
        to--;
    *to = '\0';
}

size_t text_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char) *text & 0xc0) != 0x80;
    return n;
}

char *text_finding(const char *file, unsigned line, const char *message, const char *id, const char *key)
{
    _cleanup_(freep) char *place = NULL, *raw = NULL;

    if (!file)
        place = strdup("");
    else
        place = line > 0 ? str_format("%s:%u: ", file, line) : str_format("%s: ", file);
    if (!place)
        return NULL;

    raw = str_format("%s%s%s%s%s%s%s%s", place, message ? message : "", id ? " [" : "", id ? id : "", id ? "]" : "",
                     key ? " (" : "", key ? key : "", key ? ")" : "");
    return raw ? text_printable(raw) : NULL;
}

char *text_error(const Error *err, int r)
{
    return text_finding(err ? err->file : NULL, err ? err->line : 0, error_message(err, r), error_id(err),
                        err ? err->key : NULL);
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/asciicast.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/strv.h"

#define REPLACEMENT "\xEF\xBF\xBD"

/* How long a character is that begins so; 0: none does. */
static size_t length_of(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

/* Whether these bytes, of which there are `n` of the character's, can be in one (The Unicode Standard, table 3-7). */
static bool may_continue(const unsigned char *c, size_t n)
{
    if (n < 2)
        return true;
    if (n > 2)
        return c[n - 1] >= 0x80 && c[n - 1] < 0xC0;
    const unsigned char low = c[0] == 0xE0 ? 0xA0 : c[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = c[0] == 0xED ? 0x9F : c[0] == 0xF4 ? 0x8F : 0xBF;
    return c[1] >= low && c[1] <= high;
}

static int put_character(const unsigned char *c, size_t len, Buf *out)
{
    if (len == 1 && (c[0] == '"' || c[0] == '\\'))
        return buf_printf(out, "\\%c", c[0]);
    if (len == 1 && (c[0] < 0x20 || c[0] == 0x7F))
        return buf_printf(out, "\\u%04x", c[0]);
    return buf_append(out, c, len);
}

static int put_byte(CastStream *s, unsigned char c, Buf *out)
{
    int r = 0;

    s->begun[s->len++] = c;
    if (!may_continue(s->begun, s->len)) { /* c begins anew behind what was none */
        s->len = 0;
        r = buf_puts(out, REPLACEMENT);
        return r < 0 ? r : put_byte(s, c, out);
    }
    const size_t wanted = length_of(s->begun[0]);
    if (wanted > s->len)
        return 0;
    r = wanted == 0 ? buf_puts(out, REPLACEMENT) : put_character(s->begun, s->len, out);
    s->len = 0;
    return r;
}

static int put_text(CastStream *s, const void *data, size_t len, Buf *out)
{
    const unsigned char *c = data;
    int r = 0;

    for (size_t i = 0; i < len && r >= 0; i++) {
        /* most of what a terminal shows */
        size_t plain = 0;
        while (s->len == 0 && i + plain < len && c[i + plain] >= 0x20 && c[i + plain] < 0x7F && c[i + plain] != '"' &&
               c[i + plain] != '\\')
            plain++;
        if (plain > 0) {
            r = buf_append(out, c + i, plain);
            i += plain - 1;
        } else {
            r = put_byte(s, c[i], out);
        }
    }
    return r;
}

static int put_string(const char *text, Buf *out)
{
    CastStream s = {};
    int r = buf_puts(out, "\"");

    if (r >= 0)
        r = put_text(&s, text, strlen(text), out);
    if (r >= 0 && s.len > 0)
        r = buf_puts(out, REPLACEMENT);
    return r < 0 ? r : buf_puts(out, "\"");
}

static int put_member(const char *name, const char *text, Buf *out)
{
    if (!text)
        return 0;
    int r = buf_printf(out, ", \"%s\": ", name);
    return r < 0 ? r : put_string(text, out);
}

int cast_head(const CastHead *h, Buf *out)
{
    int r = buf_printf(out, "{\"version\": 2, \"width\": %u, \"height\": %u, \"timestamp\": %llu", h->width, h->height,
                       (unsigned long long) h->timestamp);

    if (r >= 0)
        r = put_member("title", h->title, out);
    if (r >= 0)
        r = put_member("command", h->command, out);
    if (r >= 0 && h->term) {
        r = buf_puts(out, ", \"env\": {\"TERM\": ");
        if (r >= 0)
            r = put_string(h->term, out);
        if (r >= 0)
            r = buf_puts(out, "}");
    }
    return r < 0 ? r : buf_puts(out, "}\n");
}

static int put_event(usec_t at, char code, Buf *out)
{
    return buf_printf(out, "[%llu.%06llu, \"%c\", ", (unsigned long long) (at / USEC_PER_SEC),
                      (unsigned long long) (at % USEC_PER_SEC), code);
}

int cast_output(CastStream *s, usec_t at, const void *data, size_t len, Buf *out)
{
    int r = put_event(at, 'o', out);

    if (r >= 0)
        r = buf_puts(out, "\"");
    if (r >= 0)
        r = put_text(s, data, len, out);
    return r < 0 ? r : buf_puts(out, "\"]\n");
}

int cast_resize(usec_t at, unsigned width, unsigned height, Buf *out)
{
    int r = put_event(at, 'r', out);

    return r < 0 ? r : buf_printf(out, "\"%ux%u\"]\n", width, height);
}

int cast_marker(usec_t at, const char *text, Buf *out)
{
    int r = put_event(at, 'm', out);

    if (r >= 0)
        r = put_string(text, out);
    return r < 0 ? r : buf_puts(out, "]\n");
}

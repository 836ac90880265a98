/* SPDX-License-Identifier: MIT */
/* Writes YAML of one shape only: block collections, plain words where nothing can go wrong, double quotes
 * elsewhere. */
#include "compose/render/emit.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define EMIT_DEPTH_MAX 64
#define INDENT_STEP 2
/* libyaml gives up on a key without "? " at 1024 characters */
#define SIMPLE_KEY_MAX 512

static const char *const reserved_words[] = {
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
};

/* Letters, digits and a few marks, led by a letter, '/' or '_': no indicator, no number, date or base-60
 * form. */
static bool is_plain_safe(const char *s)
{
    if (!isalpha((unsigned char) *s) && *s != '/' && *s != '_')
        return false;
    for (const char *p = s; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("_./-", *p)))
            return false;
    for (size_t i = 0; i < ELEMENTSOF(reserved_words); i++)
        if (strcasecmp(s, reserved_words[i]) == 0)
            return false;
    return true;
}

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\t':
        return "\\t";
    case '\r':
        return "\\r";
    default:
        return NULL;
    }
}

/* Characters that are not ASCII and that a YAML parser would treat as a line break, a mark or not printable.
 */
static bool is_unsafe_unicode(const char *s, size_t *ret_len, const char **ret_escape)
{
    static const struct {
        const char *bytes;
        const char *escape;
    } special[] = {
        { "\xe2\x80\xa8", "\\u2028" }, { "\xe2\x80\xa9", "\\u2029" }, { "\xef\xbb\xbf", "\\uFEFF" },
        { "\xef\xbf\xbe", "\\uFFFE" }, { "\xef\xbf\xbf", "\\uFFFF" },
    };

    for (size_t i = 0; i < ELEMENTSOF(special); i++)
        if (strncmp(s, special[i].bytes, 3) == 0) {
            *ret_len = 3;
            *ret_escape = special[i].escape;
            return true;
        }
    return false;
}

static int emit_quoted(Buf *b, const char *s)
{
    int r = buf_puts(b, "\"");

    while (r >= 0 && *s) {
        unsigned char c = (unsigned char) *s;
        size_t len = 1;
        const char *escape = short_escape(c);

        if (escape || is_unsafe_unicode(s, &len, &escape))
            r = buf_puts(b, escape);
        else if (c < 0x20 || c == 0x7f)
            r = buf_printf(b, "\\x%02X", c);
        else if (c == 0xc2 && (unsigned char) s[1] >= 0x80 && (unsigned char) s[1] < 0xa0) {
            len = 2;
            r = buf_printf(b, "\\x%02X", (unsigned char) s[1]);
        } else
            r = buf_append(b, s, 1);
        s += len;
    }
    return r < 0 ? r : buf_puts(b, "\"");
}

static int emit_string(Buf *b, const char *s)
{
    if (!utf8_is_valid(s, strlen(s)))
        return -EINVAL;
    return is_plain_safe(s) ? buf_puts(b, s) : emit_quoted(b, s);
}

static int emit_number(Buf *b, double v)
{
    if (!isfinite(v))
        return -EINVAL;
    if (fabs(v) < 1e15 && floor(v) == v)
        return buf_printf(b, "%.0f", v);
    return buf_printf(b, "%.17g", v);
}

static int emit_scalar(Buf *b, const cJSON *v)
{
    if (cJSON_IsString(v) && v->valuestring)
        return emit_string(b, v->valuestring);
    if (cJSON_IsBool(v))
        return buf_puts(b, cJSON_IsTrue(v) ? "true" : "false");
    if (cJSON_IsNumber(v))
        return emit_number(b, v->valuedouble);
    if (cJSON_IsNull(v))
        return buf_puts(b, "null");
    if (cJSON_IsObject(v))
        return buf_puts(b, "{}");
    if (cJSON_IsArray(v))
        return buf_puts(b, "[]");
    return -EINVAL;
}

static bool is_block(const cJSON *v)
{
    return (cJSON_IsObject(v) || cJSON_IsArray(v)) && v->child;
}

static int emit_block(Buf *b, const cJSON *v, int indent, bool first_inline);

static int emit_key(Buf *b, const char *key)
{
    size_t start = b->len;
    int r = emit_string(b, key);

    if (r < 0)
        return r;
    if (b->len - start <= SIMPLE_KEY_MAX)
        return 0;
    b->len = start;
    b->data[start] = '\0';
    return -EMSGSIZE;
}

static int emit_member(Buf *b, const cJSON *item, int indent)
{
    int r = emit_key(b, item->string ? item->string : "");

    if (r < 0)
        return r;
    if (!is_block(item)) {
        r = buf_puts(b, ": ");
        r = r < 0 ? r : emit_scalar(b, item);
        return r < 0 ? r : buf_puts(b, "\n");
    }
    r = buf_puts(b, ":\n");
    return r < 0 ? r : emit_block(b, item, indent + INDENT_STEP, false);
}

static int emit_item(Buf *b, const cJSON *item, int indent)
{
    int r = buf_puts(b, "- ");

    if (r < 0)
        return r;
    if (is_block(item))
        return emit_block(b, item, indent + INDENT_STEP, true);
    r = emit_scalar(b, item);
    return r < 0 ? r : buf_puts(b, "\n");
}

static int emit_block(Buf *b, const cJSON *v, int indent, bool first_inline)
{
    const cJSON *item;

    if (indent > EMIT_DEPTH_MAX * INDENT_STEP)
        return -EINVAL;
    cJSON_ArrayForEach(item, v) {
        int r = first_inline ? 0 : buf_printf(b, "%*s", indent, "");

        first_inline = false;
        if (r >= 0)
            r = cJSON_IsObject(v) ? emit_member(b, item, indent) : emit_item(b, item, indent);
        if (r < 0)
            return r;
    }
    return 0;
}

int compose_emit_yaml(const cJSON *value, char **ret)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(COMPOSE_RENDERED_MAX);
    char *text;
    int r;

    if (!value)
        return -EINVAL;
    if (is_block(value)) {
        r = emit_block(&b, value, 0, false);
    } else {
        r = emit_scalar(&b, value);
        r = r < 0 ? r : buf_puts(&b, "\n");
    }
    if (r < 0)
        return r;
    text = buf_take(&b);
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}

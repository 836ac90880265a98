/* SPDX-License-Identifier: MIT */
/* One pass of recursive descent over a value. What is put in for a variable is never looked at again. */
#include "compose/parse/interpolate.h"

#include <errno.h>
#include <string.h>

#include "env/env-file.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

typedef struct Scan {
    const char *p;
    const InterpolateContext *context;
    unsigned depth;
    Error *err;
} Scan;

/* `out` NULL: only the syntax counts, nothing is looked up (an alternative that is not taken). */
static int scan_text(Scan *s, bool nested, Buf *out);

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

#define fail_at(s, code, id, ...)                                                                                      \
    error_set_at((s)->err, (code), (id), (s)->context->file, (s)->context->line, (s)->context->key, __VA_ARGS__)

static int put(Scan *s, Buf *out, const char *text, size_t len)
{
    int r = out ? buf_append(out, text, len) : 0;

    if (r == -EMSGSIZE)
        return fail_at(s, EMSGSIZE, "interpolate.too-long", "longer than %d bytes with its variables put in",
                       INTERPOLATE_RESULT_MAX);
    return r;
}

/* How much of the text may stand in a sentence: whole characters, and nothing of a default, which may be
 * secret. */
static int shown_length(const char *p)
{
    size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_. -/:=!#}");

    return n < 12 ? (int) n : 12;
}

/* Reads a name into a new string; the caller has seen that one starts here. */
static int scan_name(Scan *s, char **ret)
{
    const char *start = s->p;

    while (is_name_char(*s->p))
        s->p++;
    if (s->p - start > ENV_KEY_MAX)
        return fail_at(s, EINVAL, "interpolate.syntax", "the variable name %.20s… is longer than %d characters", start,
                       ENV_KEY_MAX);
    *ret = strndup(start, (size_t) (s->p - start));
    return *ret ? 0 : -ENOMEM;
}

static int report_unset(Scan *s, const char *name)
{
    if (s->context->on_unset)
        return s->context->on_unset(name, s->context->userdata);
    if (env_key_is_dangerous(name))
        return fail_at(s, EINVAL, "interpolate.unset",
                       "variable %s is not set: no box has a value for it; write the value into the file, or a default "
                       "as ${%s:-VALUE}",
                       name, name);
    return fail_at(s, EINVAL, "interpolate.unset", "variable %s is not set and has no default; add %s=… to secbox.env",
                   name, name);
}

static int put_variable(Scan *s, const char *name, Buf *out)
{
    const char *value;

    if (!out)
        return 0;
    value = s->context->lookup(name, s->context->userdata);
    return value ? put(s, out, value, strlen(value)) : report_unset(s, name);
}

/* ${NAME?message}: the message is worked out only when it is needed. */
static int put_required(Scan *s, const char *name, const char *value, bool missing, Buf *out)
{
    _cleanup_(buf_done) Buf message = BUF_INIT(INTERPOLATE_RESULT_MAX);
    int r = scan_text(s, true, out && missing ? &message : NULL);

    /* without its brace it is the caller's syntax error */
    if (r < 0 || !out || *s->p != '}')
        return r;
    if (!missing)
        return put(s, out, value, strlen(value));
    if (s->context->on_unset)
        return s->context->on_unset(name, s->context->userdata);
    return fail_at(s, EINVAL, "interpolate.required", "variable %s is required: %s; add %s=… to secbox.env", name,
                   message.len ? message.data : "it must be set and not empty", name);
}

/* Behind the name in ${NAME…}, up to the closing brace. */
static int scan_operator(Scan *s, const char *name, Buf *out)
{
    const char *value = out ? s->context->lookup(name, s->context->userdata) : NULL;
    bool colon = *s->p == ':';
    char op = s->p[colon ? 1 : 0];
    bool present = value && (!colon || *value);
    int r;

    if (!op || !strchr("-?+", op))
        return fail_at(s, EINVAL, "interpolate.syntax",
                       "\"${%s\" goes on with \"%.*s\"; a variable is ${NAME}, with :- - :? ? :+ or + behind the name",
                       name, shown_length(s->p), s->p);
    s->p += colon ? 2 : 1;
    switch (op) {
    case '-':
        r = scan_text(s, true, present ? NULL : out);
        return r < 0 || !present ? r : put(s, out, value, strlen(value));
    case '+':
        return scan_text(s, true, present ? out : NULL);
    default:
        return put_required(s, name, value, !present, out);
    }
}

static int scan_braced(Scan *s, Buf *out)
{
    _cleanup_(freep) char *name = NULL;
    int r;

    if (s->depth == INTERPOLATE_DEPTH_MAX)
        return fail_at(s, EMSGSIZE, "interpolate.too-deep", "variables nested deeper than %d levels",
                       INTERPOLATE_DEPTH_MAX);
    if (!*s->p)
        return fail_at(s, EINVAL, "interpolate.syntax", "\"${\" without a closing brace; write $$ for a dollar sign");
    if (!is_name_start(*s->p))
        return fail_at(s, EINVAL, "interpolate.syntax",
                       "\"${%.*s\" does not name a variable (letters, digits and _, no digit first); write $$ for a "
                       "dollar sign",
                       shown_length(s->p), s->p);
    r = scan_name(s, &name);
    if (r < 0)
        return r;
    s->depth++;
    if (*s->p == '}' || !*s->p)
        r = put_variable(s, name, *s->p ? out : NULL);
    else
        r = scan_operator(s, name, out);
    s->depth--;
    if (r < 0)
        return r;
    if (*s->p != '}')
        return fail_at(s, EINVAL, "interpolate.syntax", "\"${%s\" without a closing brace", name);
    s->p++;
    return 0;
}

static int scan_dollar(Scan *s, Buf *out)
{
    _cleanup_(freep) char *name = NULL;
    int r;

    s->p++;
    if (*s->p == '$') {
        s->p++;
        return put(s, out, "$", 1);
    }
    if (*s->p == '{') {
        s->p++;
        return scan_braced(s, out);
    }
    if (!is_name_start(*s->p))
        return put(s, out, "$", 1);
    r = scan_name(s, &name);
    return r < 0 ? r : put_variable(s, name, out);
}

static int scan_text(Scan *s, bool nested, Buf *out)
{
    unsigned braces = 0;

    while (*s->p) {
        size_t plain = nested ? strcspn(s->p, "${}") : strcspn(s->p, "$");
        int r = put(s, out, s->p, plain);

        if (r < 0)
            return r;
        s->p += plain;
        if (*s->p == '$') {
            r = scan_dollar(s, out);
            if (r < 0)
                return r;
            continue;
        }
        if (!*s->p || (*s->p == '}' && braces == 0))
            return 0;
        braces = *s->p == '{' ? braces + 1 : braces - 1;
        r = put(s, out, s->p, 1);
        if (r < 0)
            return r;
        s->p++;
    }
    return 0;
}

int interpolate(const char *text, const InterpolateContext *context, char **ret, Error *err)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(INTERPOLATE_RESULT_MAX);
    Scan s = { .p = text, .context = context, .err = err };
    char *result;
    int r = scan_text(&s, false, &out);

    if (r < 0)
        return r;
    result = buf_take(&out);
    if (!result)
        return -ENOMEM;
    *ret = result;
    return 0;
}

bool interpolate_has_variable(const char *text)
{
    for (const char *p = strchr(text, '$'); p; p = strchr(p, '$')) {
        if (p[1] == '{' || is_name_start(p[1]))
            return true;
        p += p[1] == '$' ? 2 : 1;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* The text is not interpolated: that is the box's. What is no proper variable stays, for the box's parser to refuse. */
#include "compose/gather/defaults.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define OUT_MAX YAML_SIZE_MAX
#define DEPTH_MAX 16
/* The box says it behind "variable A is required: ". */
#define SECRET_MESSAGE "the operator's .env has it, and secrets are not sent"

static size_t name_length(const char *s)
{
    size_t n = 0;

    if (isalpha((unsigned char) s[0]) || s[0] == '_')
        while (isalnum((unsigned char) s[n]) || s[n] == '_')
            n++;
    return n;
}

/* The brace that closes what begins behind "${"; NULL when none does. */
static const char *closing(const char *s)
{
    int depth = 1;

    for (; *s; s++) {
        if (s[0] == '$' && s[1] == '$')
            s++;
        else if (*s == '{')
            depth++;
        else if (*s == '}' && --depth == 0)
            return s;
    }
    return NULL;
}

static bool is_balanced(const char *value)
{
    int depth = 0;

    for (; *value && depth >= 0; value++)
        depth += *value == '{' ? 1 : *value == '}' ? -1 : 0;
    return depth == 0;
}

static int put_value(Buf *out, const char *name, const char *value, Error *err)
{
    if (!is_balanced(value))
        return error_set(err, EINVAL, "gather.braces",
                         "the value of %s has braces that do not balance, which no default can hold: set it in the "
                         "box's secbox.env",
                         name);
    for (; *value; value++)
        if (buf_append(out, value, 1) < 0 || (*value == '$' && buf_puts(out, "$") < 0))
            return -EMSGSIZE;
    return 0;
}

static int put_in(Buf *out, const char *text, size_t len, const ValueSource *c, unsigned depth, Error *err);

/* `rest` is what stands between the name and the closing brace: an operator and its word, or nothing. */
static int put_variable(Buf *out, const char *name, const char *rest, size_t len, const ValueSource *c, unsigned depth,
                        Error *err)
{
    bool secret = false;
    const char *value = c->lookup(name, &secret, c->userdata);
    bool colon = len > 0 && rest[0] == ':';
    char op = len > colon ? rest[colon] : '\0';
    size_t skip = (size_t) colon + (op != '\0');
    int r = 0;

    if (value && op == '+' && (!colon || *value))
        return put_in(out, rest + skip, len - skip, c, depth + 1, err);
    if (value && secret && op == '-') {
        if (buf_printf(out, "${%s%s?%s", name, colon ? ":" : "", SECRET_MESSAGE) < 0)
            return -EMSGSIZE;
    } else if (value && !secret && op != '+' && (!colon || *value) && (len == 0 || op == '-' || op == '?')) {
        if (buf_printf(out, "${%s%s-", name, colon ? ":" : "") < 0)
            return -EMSGSIZE;
        r = put_value(out, name, value, err);
    } else {
        if (buf_printf(out, "${%s", name) < 0 || buf_append(out, rest, skip) < 0)
            return -EMSGSIZE;
        r = put_in(out, rest + skip, len - skip, c, depth + 1, err);
    }
    return r < 0 ? r : buf_puts(out, "}") < 0 ? -EMSGSIZE : 0;
}

/* At a dollar sign; how much of the text it takes. */
static ssize_t put_dollar(Buf *out, const char *s, size_t len, const ValueSource *c, unsigned depth, Error *err)
{
    bool braces = len > 1 && s[1] == '{';
    const char *start = s + 1 + braces, *end = braces ? closing(start) : NULL;
    size_t n = name_length(start);
    _cleanup_(freep) char *name = strndup(start, n);

    if (!name)
        return -ENOMEM;
    if (n == 0 || n > len || (braces && (!end || end >= s + len || depth >= DEPTH_MAX))) {
        n = len > 1 && s[1] == '$' ? 2 : 1;
        return buf_append(out, s, n) < 0 ? -EMSGSIZE : (ssize_t) n;
    }
    bool secret = false;
    if (!braces && (!c->lookup(name, &secret, c->userdata) || secret)) {
        return buf_append(out, s, n + 1) < 0 ? -EMSGSIZE : (ssize_t) n + 1;
    }
    const char *rest = start + n;
    int r = put_variable(out, name, rest, braces ? (size_t) (end - rest) : 0, c, depth, err);
    return r < 0 ? r : braces ? end + 1 - s : (ssize_t) n + 1;
}

static int put_in(Buf *out, const char *text, size_t len, const ValueSource *c, unsigned depth, Error *err)
{
    for (size_t i = 0; i < len;) {
        const char *dollar = memchr(text + i, '$', len - i);
        size_t plain = dollar ? (size_t) (dollar - text) - i : len - i;

        if (plain > 0 && buf_append(out, text + i, plain) < 0)
            return -EMSGSIZE;
        i += plain;
        if (i < len) {
            ssize_t n = put_dollar(out, text + i, len - i, c, depth, err);
            if (n < 0)
                return (int) n;
            i += (size_t) n;
        }
    }
    return 0;
}

int defaults_put_in(const char *text, const ValueSource *context, char **ret, Error *err)
{
    Buf out = BUF_INIT(OUT_MAX);
    int r = put_in(&out, text, strlen(text), context, 0, err);

    if (r == 0)
        *ret = strdup(out.data ? out.data : "");
    buf_done(&out);
    if (r == -EMSGSIZE)
        return error_set(err, EMSGSIZE, "yaml.too-large",
                         "with the values of its variables put in, the file is too large");
    return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

/* SPDX-License-Identifier: MIT */
/* The smallest parser that does the job. */
#include "lib/base/settings.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

static char **text_of(const void *values, const Setting *s)
{
    return (char **) ((char *) values + s->offset);
}

static uint64_t *number_of(const void *values, const Setting *s)
{
    return (uint64_t *) ((char *) values + s->offset);
}

void settings_done(const Setting *table, void *values)
{
    for (const Setting *s = table; s->key; s++) {
        if (s->max > 0)
            continue;
        secret_free(*text_of(values, s));
        *text_of(values, s) = NULL;
    }
}

static int set_value(void *values, const Setting *s, const char *value)
{
    if (s->max > 0)
        return str_to_u64(value, s->min, s->max, number_of(values, s));
    size_t n = 0;
    while (value[n] >= ' ' && value[n] <= '~' && value[n] != '"' && value[n] != '\'')
        n++;
    if (value[n] || n > ENV_VALUE_MAX || (n > 0 && (value[0] == ' ' || value[n - 1] == ' ')) || strstr(value, "${"))
        return -EINVAL;
    char *copy = n > 0 ? strdup(value) : NULL;
    if (n > 0 && !copy)
        return -ENOMEM;
    secret_free(*text_of(values, s));
    *text_of(values, s) = copy;
    return 0;
}

int settings_init(const Setting *table, void *values)
{
    for (const Setting *s = table; s->key; s++)
        if (s->max == 0)
            *text_of(values, s) = NULL;
    for (const Setting *s = table; s->key; s++) {
        int r = s->fallback ? set_value(values, s, s->fallback) : 0;
        if (r < 0) {
            settings_done(table, values);
            return r;
        }
    }
    return 0;
}

static const Setting *setting_of(const Setting *table, const char *line, size_t key_len)
{
    for (const Setting *s = table; s->key; s++)
        if (strlen(s->key) == key_len && memcmp(s->key, line, key_len) == 0)
            return s;
    return NULL;
}

typedef struct Place {
    const char *file;
    unsigned line;
    uint64_t seen; /* a bit for each setting */
} Place;

static int parse_line(const Setting *table, void *values, const char *line, size_t len, Place *at, Error *err)
{
    const char *equals = memchr(line, '=', len);
    const Setting *s = equals ? setting_of(table, line, (size_t) (equals - line)) : NULL;
    if (!s)
        return 0;
    uint64_t bit = UINT64_C(1) << (s - table) % SETTINGS_MAX;
    if (at->seen & bit)
        return error_set_at(err, EINVAL, "settings.duplicate", at->file, at->line, s->key,
                            "%s stands here twice: remove one", s->key);
    at->seen |= bit;
    size_t value_len = len - (size_t) (equals + 1 - line);
    _cleanup_(secret_freep) char *value = strndup(equals + 1, value_len);
    int r = !value ? -ENOMEM : strlen(value) != value_len ? -EINVAL : set_value(values, s, value);
    if ((r == -EINVAL || r == -ERANGE) && s->max > 0)
        return error_set_at(err, EINVAL, "settings.value", at->file, at->line, s->key,
                            "%s must be a number from %llu to %llu", s->key, (unsigned long long) s->min,
                            (unsigned long long) s->max);
    if (r == -EINVAL)
        return error_set_at(err, EINVAL, "settings.value", at->file, at->line, s->key,
                            "%s must be plain text: no quotes, no ${…}, no spaces around it", s->key);
    return r < 0 ? error_from_errno(err, r, "cannot keep %s", s->key) : 0;
}

int settings_parse(const Setting *table, void *values, const char *text, size_t len, const char *file, Error *err)
{
    Place at = { .file = file };
    if (len > ENV_FILE_SIZE_MAX)
        return error_set(err, EFBIG, "settings.too-large", "%s has %zu bytes, more than %d", file, len,
                         ENV_FILE_SIZE_MAX);
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t line_len = newline ? (size_t) (newline - text) : len, step = line_len + (newline != NULL);
        at.line++;
        int r = parse_line(table, values, text, line_len, &at, err);
        if (r < 0)
            return r;
        text += step;
        len -= step;
    }
    return 0;
}

char *settings_print(const Setting *table, const void *values)
{
    Buf text = BUF_INIT(ENV_FILE_SIZE_MAX);
    int r = 0;
    for (const Setting *s = table; s->key && r >= 0; s++) {
        const char *value = s->max > 0 ? "" : *text_of(values, s);
        r = s->max > 0 ? buf_printf(&text, "%s=%llu\n", s->key, (unsigned long long) *number_of(values, s))
                       : buf_printf(&text, "%s=%s\n", s->key, value ? value : "");
    }
    char *printed = r < 0 ? NULL : buf_take(&text);
    buf_done(&text);
    return printed;
}

/* SPDX-License-Identifier: MIT */
/* String vectors, strict numbers, UTF-8. */

#include "lib/base/strv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char **strv_free(char **v)
{
    for (char **s = v; s && *s; s++)
        free(*s);
    free(v);
    return NULL;
}

size_t strv_length(char *const *v)
{
    size_t n = 0;

    while (v && v[n])
        n++;
    return n;
}

bool strv_contains(char *const *v, const char *s)
{
    for (; v && *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

int strv_take(char ***v, char *s)
{
    size_t n = strv_length(*v);
    char **grown;

    if (!s)
        return -ENOMEM;
    grown = reallocarray(*v, n + 2, sizeof(char *));
    if (!grown) {
        free(s);
        return -ENOMEM;
    }
    grown[n] = s;
    grown[n + 1] = NULL;
    *v = grown;
    return 0;
}

int strv_add(char ***v, const char *s)
{
    return strv_take(v, strdup(s));
}

int strv_addf(char ***v, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = str_vformat(fmt, ap);
    va_end(ap);
    return strv_take(v, s);
}

int strv_copy(char *const *from, char ***ret)
{
    _cleanup_(strv_freep) char **copy = NULL;

    for (; from && *from; from++)
        if (strv_add(&copy, *from) < 0)
            return -ENOMEM;
    *ret = TAKE_PTR(copy);
    return 0;
}

char *strv_join(char *const *v, const char *sep)
{
    size_t len = 1, sep_len = strlen(sep);
    char *joined, *p;

    for (char *const *s = v; s && *s; s++)
        len += strlen(*s) + sep_len;
    joined = malloc(len);
    if (!joined)
        return NULL;
    p = joined;
    for (char *const *s = v; s && *s; s++) {
        if (s != v)
            p = mempcpy(p, sep, sep_len);
        p = mempcpy(p, *s, strlen(*s));
    }
    *p = '\0';
    return joined;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

void strv_sort(char **v)
{
    if (v)
        qsort(v, strv_length(v), sizeof(char *), compare_strings);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t len = strlen(s), suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

char *str_vformat(const char *fmt, va_list ap)
{
    char *s;

    return vasprintf(&s, fmt, ap) < 0 ? NULL : s;
}

char *str_format(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = str_vformat(fmt, ap);
    va_end(ap);
    return s;
}

int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (str_empty(s))
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, (uint64_t) 10, &value) ||
            __builtin_add_overflow(value, (uint64_t) (*s - '0'), &value))
            return -ERANGE;
    }
    if (value < min || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

/* Length of the sequence that starts at p, 0 when it is not valid. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char mask, lead;
        size_t len;
    } forms[] = { { 0x80, 0x00, 1 }, { 0xe0, 0xc0, 2 }, { 0xf0, 0xe0, 3 }, { 0xf8, 0xf0, 4 } };

    for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
        if ((p[0] & forms[i].mask) != forms[i].lead)
            continue;
        if (left < forms[i].len)
            return 0;
        for (size_t k = 1; k < forms[i].len; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        /* overlong forms, surrogates, beyond U+10FFFF */
        if ((p[0] == 0xc0 || p[0] == 0xc1) || (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
            (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) || p[0] > 0xf4)
            return 0;
        return forms[i].len;
    }
    return 0;
}

bool utf8_is_valid(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *) s;

    while (len > 0) {
        size_t n = utf8_sequence(p, len);

        if (n == 0)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

void secret_free(char *s)
{
    if (!s)
        return;
    explicit_bzero(s, strlen(s));
    free(s);
}

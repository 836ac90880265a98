/* SPDX-License-Identifier: MIT */
/* NULL-terminated vectors of owned strings, and the string helpers that libc lacks. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

char **strv_free(char **v);
DEFINE_CLEANUP(char *, strv_free)
size_t strv_length(char *const *v);
bool strv_contains(char *const *v, const char *s);
int strv_add(char ***v, const char *s) _must_check_;
int strv_addf(char ***v, const char *fmt, ...) _printf_(2, 3) _must_check_;
/* Takes ownership of s, also on failure. */
int strv_take(char ***v, char *s) _must_check_;
/* A new vector of the same strings in *ret; NULL of none. */
int strv_copy(char *const *from, char ***ret) _must_check_;
/* strings joined by sep; a new string or NULL when out of memory */
char *strv_join(char *const *v, const char *sep);
void strv_sort(char **v);

static inline bool str_equal(const char *a, const char *b)
{
    return a == b || (a && b && __builtin_strcmp(a, b) == 0);
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
static inline bool str_empty(const char *s)
{
    return !s || !*s;
}

/* asprintf that returns NULL when out of memory. */
char *str_format(const char *fmt, ...) _printf_(1, 2);
char *str_vformat(const char *fmt, va_list ap) _printf_(1, 0);

/* Whole-string decimal numbers; -EINVAL when anything else is there, -ERANGE outside min..max. */
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) _must_check_;

/* Valid UTF-8 without overlong forms and surrogates (RFC 3629). */
bool utf8_is_valid(const char *s, size_t len);

/* Overwrites with zeros, in a way that the compiler does not optimise away, then frees. NULL-safe. */
void secret_free(char *s);
DEFINE_CLEANUP(char, secret_free)

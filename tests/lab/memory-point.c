/* SPDX-License-Identifier: MIT */
/* Preloaded beside fault-point.c: counts the allocations of mgmt-agent and its workers, those of libraries included, and one of
 * them fails. Not for programs with AddressSanitizer, which has a malloc() of its own. */

#include <stddef.h>
#include <stdio.h>

#include "tests/lab/fault-control.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static bool is_starved(size_t size)
{
    Control *c = control();
    int saved = errno;
    uint64_t number;

    if (!c || c->mode < MODE_COUNT_MEMORY || !is_program_of_ours())
        return false;
    number = atomic_fetch_add(&c->count, 1) + 1;
    if (c->mode != MODE_MEMORY || number != c->target || atomic_exchange(&c->fired, 1)) {
        errno = saved;
        return false;
    }
    snprintf(c->where, sizeof(c->where), "%s: %zu bytes", program_invocation_short_name, size);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return is_starved(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return is_starved(n * size) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return is_starved(size) ? NULL : __libc_realloc(p, size);
}

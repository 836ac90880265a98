/* SPDX-License-Identifier: MIT */
/* Linked into each fuzz target. With SECBOX_STARVE=EVERY in the environment, the target's function gets each input with the first
 * allocation failing, then with the one EVERY later, and so on until there are none left: those of libraries included. What a
 * target checks of a parser that had the memory (abort()) does not count in such a run; what it says by broken() does, and so do
 * all that AddressSanitizer and its search for leaks find. At the end it prints how many allocations failed. */
#include "tests/fuzz/starve.h"

#include <dlfcn.h>
#include <errno.h>
#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* AddressSanitizer's, whose malloc() and so on give way to ours. */
void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t n, size_t size);
void *__interceptor_realloc(void *p, size_t size);

int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);

#define KEPT_MAX 100000
/* allocations that all runs with one input may take together; of one that takes very many only some fail */
#define WORK_MAX 20000000

static bool running;
static unsigned long count, target, injected, excused;
static sigjmp_buf out;
/* what a run allocated that is left in the middle */
static void *kept[KEPT_MAX];
static size_t n_kept;

bool is_starved(void)
{
    return running && target > 0 && count >= target;
}

void broken(const char *what)
{
    fprintf(stderr, "broken with allocation %lu failing: %s\n", target, what);
    __real_abort();
}

static bool fails(void)
{
    if (!running || ++count != target)
        return false;
    errno = ENOMEM;
    return true;
}

static void *keep(void *p)
{
    if (running && p && n_kept < KEPT_MAX)
        kept[n_kept++] = p;
    return p;
}

void *malloc(size_t size)
{
    return fails() ? NULL : keep(__interceptor_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : keep(__interceptor_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
    return fails() ? NULL : keep(__interceptor_realloc(p, size));
}

/* the interceptors of these do not call those above */
void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}

char *strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    copy[len] = '\0';
    return memcpy(copy, s, len);
}

char *strdup(const char *s)
{
    return strndup(s, strlen(s));
}

_Noreturn void __wrap_abort(void)
{
    if (!is_starved())
        __real_abort();
    siglongjmp(out, 1);
}

/* libarchive's answer to some of them, which leaves a worker dead, and the agent with that. */
void exit(int status)
{
    void (*real)(int);

    if (is_starved())
        siglongjmp(out, 1);
    *(void **) &real = dlsym(RTLD_NEXT, "exit");
    real(status);
    __real_abort();
}

/* Whether an allocation failed. */
static bool run_with(unsigned long number, const uint8_t *data, size_t size)
{
    count = 0;
    target = number;
    n_kept = 0;
    running = true;
    if (sigsetjmp(out, 0) == 0) {
        __real_LLVMFuzzerTestOneInput(data, size);
        running = false;
    } else {
        running = false;
        excused++;
        for (size_t i = 0; i < n_kept; i++)
            __lsan_ignore_object(kept[i]);
    }
    return count >= number;
}

static void tell(void)
{
    printf("%lu injected, %lu of them where the target's own checks want memory\n", injected, excused);
}

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned long every, first;
    unsigned long step, spread;

    if (!every) {
        const char *text = getenv("SECBOX_STARVE");
        every = text ? strtoul(text, NULL, 10) : 0;
        if (!every)
            every = SIZE_MAX;
        else
            atexit(tell);
    }
    if (every == SIZE_MAX)
        return __real_LLVMFuzzerTestOneInput(data, size);
    /* what libraries make once, some for ever after a failure, is there before */
    (void) run_with(0, data, size);
    if (count == 0)
        return 0;
    step = every + count * count / WORK_MAX;
    spread = count < step ? count : step;
    /* another one first with each input, so that few inputs that are alike reach most of them, and one of those that there are */
    for (unsigned long number = 1 + first++ % spread; run_with(number, data, size); number += step)
        injected++;
    return 0;
}

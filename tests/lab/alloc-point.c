/* SPDX-License-Identifier: MIT */
/* Preloaded into a program of ours: of its allocations from main() on, those of libraries included, the one with the number
 * SECBOX_ALLOC_FAIL fails. How many there were is written to SECBOX_ALLOC_COUNT. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

typedef int (*main_t)(int argc, char **argv, char **env);

static main_t real_main;
static bool counting;
static unsigned long count, target;

static bool fails(void)
{
    if (!counting || ++count != target)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("SECBOX_ALLOC_COUNT");
    char text[32];
    int fd;

    counting = false;
    if (!real_main || !path || (fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
        return;
    if (write(fd, text, (size_t) snprintf(text, sizeof(text), "%lu\n", count)) < 0)
        perror(path);
    close(fd);
}

static int counted_main(int argc, char **argv, char **env)
{
    const char *number = getenv("SECBOX_ALLOC_FAIL");

    target = number ? strtoul(number, NULL, 10) : 0;
    counting = true;
    return real_main(argc, argv, env);
}

int __libc_start_main(main_t main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    int (*real)(main_t, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

    *(void **) &real = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = main;
    return real(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

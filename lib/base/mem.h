/* SPDX-License-Identifier: MIT */
/* This tree's few macros: cleanup, handing over ownership, counting elements. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _must_check_ __attribute__((warn_unused_result))
#define _unused_ __attribute__((unused))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/* Moves the value out of a variable and leaves NULL, which marks a hand-over of ownership. */
#define TAKE_PTR(p)                                                                                                    \
    ({                                                                                                                 \
        __typeof__(p) _taken = (p);                                                                                    \
        (p) = NULL;                                                                                                    \
        _taken;                                                                                                        \
    })

#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int _taken = (fd);                                                                                             \
        (fd) = -1;                                                                                                     \
        _taken;                                                                                                        \
    })

/* Defines FREEp(Type **), for use with _cleanup_, from a NULL-safe FREE(Type *). */
#define DEFINE_CLEANUP(Type, free_function)                                                                            \
    static inline _unused_ void free_function##p(Type **p)                                                             \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            free_function(*p);                                                                                         \
    }

static inline _unused_ void freep(void *p)
{
    free(*(void **) p);
}

static inline _unused_ void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

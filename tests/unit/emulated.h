/* SPDX-License-Identifier: MIT */
/* Programs for another processor, which qemu-user runs (installer/cross.sh). */
#pragma once

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/strv.h"

/* What the kernel runs. qemu-user answers for /proc/self/exe itself, with the program that it emulates, and not for this. */
#define KERNELS_EXE "/proc/thread-self/exe"

/* For a test that needs of the kernel what qemu-user does not pass on: a sentence's end. */
static inline void skip_if_emulated(const char *why)
{
    char real[PATH_MAX] = "", ours[PATH_MAX] = "";

    assert_true(readlink(KERNELS_EXE, real, sizeof(real) - 1) > 0);
    assert_true(readlink("/proc/self/exe", ours, sizeof(ours) - 1) > 0);
    if (str_equal(real, ours))
        return;
    print_message("skipped: this program is run by %s, which cannot %s\n", real, why);
    skip();
}

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

/* For a test that starts its own program again. */
static inline void skip_if_emulated(void)
{
    char real[PATH_MAX] = "", ours[PATH_MAX] = "";

    assert_true(readlink(KERNELS_EXE, real, sizeof(real) - 1) > 0);
    assert_true(readlink("/proc/self/exe", ours, sizeof(ours) - 1) > 0);
    if (str_equal(real, ours))
        return;
    print_message("skipped: this program is run by %s, and the kernel cannot start a program for another processor\n", real);
    skip();
}

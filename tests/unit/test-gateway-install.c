/* SPDX-License-Identifier: MIT */
/* Which part of a file a client asks for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/install/range.h"
#include "lib/base/mem.h"

static const struct {
    const char *text;
    uint64_t size;
    int r;
    uint64_t first, len;
} ranges[] = {
    { NULL, 10, 0, 0, 0 },
    { "bytes=0-3", 10, 1, 0, 4 },
    { "Bytes=0-0", 10, 1, 0, 1 },
    { "bytes=4-", 10, 1, 4, 6 },
    { "bytes=4-99", 10, 1, 4, 6 },
    { "bytes=9-9", 10, 1, 9, 1 },
    { "bytes=-3", 10, 1, 7, 3 },
    { "bytes=-30", 10, 1, 0, 10 },
    { "bytes=10-", 10, -ERANGE, 0, 0 },
    { "bytes=0-", 0, -ERANGE, 0, 0 },
    { "bytes=-0", 10, -ERANGE, 0, 0 },
    { "bytes=-5", 0, -ERANGE, 0, 0 },
    { "bytes=999999999999999999-", 10, -ERANGE, 0, 0 },
    /* not understood, or more than one part */
    { "bytes=3-2", 10, 0, 0, 0 },
    { "bytes=0-1,4-5", 10, 0, 0, 0 },
    { "bytes=", 10, 0, 0, 0 },
    { "bytes=-", 10, 0, 0, 0 },
    { "bytes=1", 10, 0, 0, 0 },
    { "bytes=1-x", 10, 0, 0, 0 },
    { "bytes=-1x", 10, 0, 0, 0 },
    { "bytes= 1-2", 10, 0, 0, 0 },
    { "lines=1-2", 10, 0, 0, 0 },
    { "bytes=18446744073709551616-", 10, 0, 0, 0 },
    { "bytes=-18446744073709551616", 10, 0, 0, 0 },
};

static void test_ranges(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(ranges); i++) {
        uint64_t first = 0, len = 0;
        int r = range_parse(ranges[i].text, ranges[i].size, &first, &len);
        if (r != ranges[i].r || first != ranges[i].first || len != ranges[i].len)
            fail_msg("\"%s\" of %llu: %d, %llu + %llu", ranges[i].text ? ranges[i].text : "",
                     (unsigned long long) ranges[i].size, r, (unsigned long long) first, (unsigned long long) len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

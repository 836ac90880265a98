/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat. */

#include "lib/base/proc.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"

uint64_t process_start_ticks(pid_t pid)
{
    _cleanup_(freep) char *path = str_format("/proc/%d/stat", (int) pid);
    _cleanup_(freep) char *text = NULL;
    unsigned long long ticks = 0;
    const char *p;

    if (!path || file_read(path, 4096, &text, NULL, NULL) < 0)
        return 0;
    /* field 2 is the name in parentheses and may hold anything; field 22 is the 20th behind it */
    p = strrchr(text, ')');
    for (int field = 0; p && field < 20; field++)
        p = strchr(p + 1, ' ');
    return p && sscanf(p + 1, "%llu", &ticks) == 1 ? ticks : 0;
}

usec_t process_started(pid_t pid)
{
    uint64_t ticks = process_start_ticks(pid);
    long per_second = sysconf(_SC_CLK_TCK);
    usec_t up = boottime_usec(), then;

    if (ticks == 0 || per_second <= 0)
        return 0;
    then = ticks * USEC_PER_SEC / (uint64_t) per_second;
    return realtime_usec() - (up > then ? up - then : 0);
}

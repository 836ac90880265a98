/* SPDX-License-Identifier: MIT */
#include "lib/cli/finding-clock.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>

static bool is_synchronised(int state, const struct timex *t)
{
    return state >= 0 && state != TIME_ERROR && !(t->status & STA_UNSYNC);
}

bool clock_is_synchronised(void)
{
    struct timex t = {};

    return is_synchronised(adjtimex(&t), &t);
}

void finding_of_time_sync(Finding *f)
{
    struct timex t = {};
    int state = adjtimex(&t);

    if (state < 0)
        finding_set(f, VERDICT_UNKNOWN, "See `timedatectl`.", "the kernel does not tell: %s", strerror(errno));
    else if (!is_synchronised(state, &t))
        finding_set(f, VERDICT_FAIL, "See `timedatectl`; NTP (UDP port 123) must get out.",
                    "the clock is not synchronised");
    else
        finding_pass(f, "the clock is synchronised");
}

/* SPDX-License-Identifier: MIT */
#include "lib/cli/finding-clock.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>

#include "lib/base/gateway-time.h"

static bool is_synchronised(int state, const struct timex *t)
{
    return state >= 0 && state != TIME_ERROR && !(t->status & STA_UNSYNC);
}

bool clock_is_synchronised(void)
{
    struct timex t = {};

    return is_synchronised(adjtimex(&t), &t);
}

bool clock_known_time(usec_t *ret)
{
    bool kept_right = clock_is_synchronised();
    usec_t heard = kept_right ? 0 : gateway_time_now(0);

    *ret = heard > 0 ? heard : realtime_usec();
    return kept_right || heard > 0;
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

/* SPDX-License-Identifier: MIT */
/* doctor: the machine's clock. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/gateway-time.h"
#include "lib/cli/finding-clock.h"
#include "mgmt-agent/secboxctl/doctor.h"

/* what certificates and tokens bear, and more than a clock loses in a month */
#define TOLERANCE (5 * USEC_PER_MINUTE)
#define DATE_SIZE 32

extern const char build_time[];

/* The time of the commit that this program is made from; 0 when it was not known. */
static usec_t commit_time(void)
{
    usec_t at;

    return rfc3339_parse(build_time, &at) < 0 ? 0 : at;
}

/* The program's own file is as old as its build: an earlier clock has lost the time. */
static usec_t file_time(void)
{
    struct stat st;

    return stat("/proc/self/exe", &st) == 0 ? (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC : 0;
}

bool clock_is_wrong(usec_t *ret_right)
{
    usec_t now = realtime_usec(), right = gateway_time_now(commit_time());

    *ret_right = right;
    if (right == 0)
        return now < file_time();
    return now + TOLERANCE < right || right + TOLERANCE < now;
}

/* As `date` reads it. */
static const char *date_format(usec_t at, char buf[static DATE_SIZE])
{
    time_t seconds = (time_t) (at / USEC_PER_SEC);
    struct tm tm = {};

    return gmtime_r(&seconds, &tm) && strftime(buf, DATE_SIZE, "%Y-%m-%d %H:%M:%S", &tm) > 0 ? buf : "";
}

void check_clock(Doctor *d, Finding *f)
{
    static const char why[] = "With a wrong clock certificates and tokens are refused; see the check `time-sync`.";
    static const char whose[] =
        "This clock is synchronised (see `timedatectl`), so compare both with a third one, and have the one set right "
        "that is wrong: with a wrong clock certificates and tokens are refused.";
    char now[TIMESTAMP_SIZE], other[TIMESTAMP_SIZE], date[DATE_SIZE];
    usec_t right;

    (void) d;
    timestamp_format(realtime_usec(), now);
    if (!clock_is_wrong(&right)) {
        finding_pass(f, "%s", now);
        return;
    }
    if (right == 0) {
        finding_set(f, VERDICT_FAIL,
                    "Set the clock (`date -u -s …`) and see `timedatectl`: with it, certificates and tokens are "
                    "refused.",
                    "the clock says %s, this program is from %s", now, timestamp_format(file_time(), other));
        return;
    }
    bool kept_right = clock_is_synchronised();
    finding_set(f, VERDICT_FAIL, kept_right ? whose : why, "the clock says %s, the gateway's says %s", now,
                timestamp_format(right, other));
    if (!kept_right)
        finding_remedy(f, "date -u -s '%s'", date_format(right, date));
}

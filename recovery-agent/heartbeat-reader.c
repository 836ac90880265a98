/* SPDX-License-Identifier: MIT */
/* The file is written by a container: nothing in it is believed but a number. */
#include "recovery-agent/heartbeat-reader.h"

#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define HEARTBEAT_SIZE_MAX 64
#define HEARTBEAT_DIGITS_MAX 20

CheckResult heartbeat_judge(const char *text, usec_t now, usec_t stale)
{
    usec_t at = 0;
    char digits[HEARTBEAT_DIGITS_MAX + 1] = "";
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > HEARTBEAT_DIGITS_MAX || (text[n] && text[n] != '\n'))
        return CHECK_BAD;
    memcpy(digits, text, n);
    if (str_to_u64(digits, 0, now, &at) < 0) /* not of this boot */
        return CHECK_BAD;
    return now - at <= stale ? CHECK_GOOD : CHECK_BAD;
}

CheckResult heartbeat_check(const char *path, usec_t now, usec_t stale, bool *seen)
{
    _cleanup_(freep) char *text = NULL;
    if (file_read(path, HEARTBEAT_SIZE_MAX, &text, NULL, NULL) < 0)
        return *seen ? CHECK_BAD : CHECK_UNKNOWN;
    *seen = true;
    return heartbeat_judge(text, now, stale);
}

/* SPDX-License-Identifier: MIT */
#include "lib/base/gateway-time.h"

#include <stdio.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"

/* 2100 */
#define LATEST (4102444800 * USEC_PER_SEC)
#define FILE_MAX 128

usec_t gateway_time_now(usec_t earliest)
{
    _cleanup_(freep) char *path = path_in_root(GATEWAY_TIME_PATH), *text = NULL;
    uintmax_t server, heard;

    if (!path || file_read(path, FILE_MAX, &text, NULL, NULL) < 0 || sscanf(text, "%ju %ju", &server, &heard) != 2 ||
        heard > boottime_usec())
        return 0;
    usec_t now = (usec_t) server + (boottime_usec() - (usec_t) heard);
    return now < earliest || now > LATEST ? 0 : now;
}

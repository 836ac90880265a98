/* SPDX-License-Identifier: MIT */
/* Any text is judged, with a reason when it is refused; what is accepted holds to the promise of url_check(). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/http/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    Error err = {};

    if (!text)
        return 0;
    if (url_check(text, "https,wss", &err) < 0) {
        if (!err.id || !err.message)
            abort();
    } else if (err.id || strpbrk(text, " \t\r\n\\") || strstr(text, "${") ||
               (strncasecmp(text, "https://", 8) != 0 && strncasecmp(text, "wss://", 6) != 0)) {
        abort();
    }
    error_done(&err);
    return 0;
}

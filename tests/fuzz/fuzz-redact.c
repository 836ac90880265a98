/* SPDX-License-Identifier: MIT */
/* Any text through the redactor: a known secret never comes out, and a second pass changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/redact.h"

#define SECRET "hunter2secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);

    if (!text)
        return 0;
    redact_add_secret(SECRET);
    _cleanup_(freep) char *once = redact_text(text), *twice = once ? redact_text(once) : NULL;
    if (!once || !twice || strstr(once, SECRET) || strcmp(once, twice) != 0)
        abort();
    redact_forget_all();
    return 0;
}

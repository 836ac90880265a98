/* SPDX-License-Identifier: MIT */
/* Any text is read to its end, with its fields inside it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/communities/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    CsvReader r;
    csv_start(&r, text, size);
    for (;;) {
        Error err = {};
        size_t before = r.at;
        int e = csv_next(&r, &err);
        error_done(&err);
        if (e == 0)
            break;
        if (r.at <= before)
            abort();
        for (size_t i = 0; e > 0 && i < r.n_fields; i++)
            if (r.fields[i] < text || r.fields[i] + strlen(r.fields[i]) > text + size)
                abort();
    }
    free(text);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* What the JSON parser accepts it prints as JSON that means the same. */
#include <string.h>

#include "lib/data/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(cJSON_Deletep) cJSON *value = NULL, *again = NULL;
    _cleanup_(freep) char *text = NULL, *text_again = NULL;
    Error err = {};

    if (json_parse((const char *) data, size, &value, &err) < 0) {
        if (!err.id || value)
            abort();
        error_done(&err);
        return 0;
    }
    text = json_print_canonical(value);
    if (!text || json_parse(text, strlen(text), &again, NULL) < 0)
        abort();
    text_again = json_print_canonical(again);
    if (!text_again || strcmp(text, text_again) != 0)
        abort();
    return 0;
}

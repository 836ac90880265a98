/* SPDX-License-Identifier: MIT */
#include "lib/base/boot-id.h"

#include <string.h>

#include "lib/base/fileio.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

char *boot_id_read(void)
{
    char *text = NULL;
    if (file_read(BOOT_ID_PATH, BOOT_ID_SIZE, &text, NULL, NULL) < 0)
        return strdup("unknown");
    text[strcspn(text, "\n")] = '\0';
    return text;
}

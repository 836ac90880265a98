/* SPDX-License-Identifier: MIT */
#include "env/env-edit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define CHANGES_MAX 32

/* Which change is about this line, or -1. A secbox.env may say "export NAME=value". */
static int find_change(const EnvChange *changes, const char *line, size_t len)
{
    size_t start = len > 7 && strncmp(line, "export ", 7) == 0 ? 7 : 0;

    for (int i = 0; changes[i].key; i++) {
        size_t n = strlen(changes[i].key);

        if (len - start > n && memcmp(line + start, changes[i].key, n) == 0 && line[start + n] == '=')
            return i;
    }
    return -1;
}

static int add_value(Buf *b, const EnvChange *change)
{
    return change->value ? buf_printf(b, "%s=%s\n", change->key, change->value) : 0;
}

char *env_edit(const char *text, const EnvChange *changes)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(2 * (size_t) ENV_FILE_SIZE_MAX);
    bool done[CHANGES_MAX] = {};
    int r = buf_puts(&b, "");

    while (*text && r >= 0) {
        size_t len = strcspn(text, "\n");
        int i = find_change(changes, text, len);

        if (i < 0 || i >= CHANGES_MAX)
            r = buf_printf(&b, "%.*s\n", (int) len, text);
        else if (!done[i])
            r = add_value(&b, &changes[i]);
        if (i >= 0 && i < CHANGES_MAX)
            done[i] = true;
        text += len + (text[len] == '\n');
    }
    for (int i = 0; changes[i].key && i < CHANGES_MAX && r >= 0; i++)
        if (!done[i])
            r = add_value(&b, &changes[i]);
    return r < 0 ? NULL : buf_take(&b);
}

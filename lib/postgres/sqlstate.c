/* SPDX-License-Identifier: MIT */
#include "lib/postgres/sqlstate.h"

#include <string.h>

#define CODE "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

const char *sqlstate_find(const char *message)
{
    for (const char *at = strstr(message, ":  "); at; at = strstr(at + 3, ":  ")) {
        const char *code = at + 3;
        if (strspn(code, CODE) == SQLSTATE_SIZE - 1 && code[SQLSTATE_SIZE - 1] == ':')
            return code;
    }
    return NULL;
}

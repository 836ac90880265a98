/* SPDX-License-Identifier: MIT */
#include "lib/postgres/sqlstate.h"

#include <string.h>

#include "lib/base/strv.h"

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

bool sqlstate_is_of_prepared(const char *state)
{
    /* invalid name, duplicate name, feature not supported ("cached plan must not change result type") */
    return str_equal(state, "26000") || str_equal(state, "42P05") || str_equal(state, "0A000");
}

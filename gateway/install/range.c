/* SPDX-License-Identifier: MIT */
#include "gateway/install/range.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define UNIT "bytes="
#define DIGITS_MAX 18 /* fit into 64 bits */

/* Whether there is a number; *text then points behind it. */
static bool take_number(const char **text, uint64_t *ret)
{
    size_t n = 0;
    uint64_t value = 0;
    for (; isdigit((unsigned char) (*text)[n]) && n < DIGITS_MAX; n++)
        value = value * 10 + (uint64_t) ((*text)[n] - '0');
    *text += n;
    *ret = value;
    return n > 0 && !isdigit((unsigned char) **text);
}

static int last_bytes(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_len)
{
    uint64_t n;
    if (!take_number(&text, &n) || *text != '\0')
        return 0;
    if (n == 0 || size == 0)
        return -ERANGE;
    *ret_len = n < size ? n : size;
    *ret_first = size - *ret_len;
    return 1;
}

int range_parse(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_len)
{
    uint64_t first, last = UINT64_MAX;
    if (!text || strncasecmp(text, UNIT, strlen(UNIT)) != 0)
        return 0;
    text += strlen(UNIT);
    if (*text == '-')
        return last_bytes(text + 1, size, ret_first, ret_len);
    if (!take_number(&text, &first) || *text++ != '-')
        return 0;
    if (*text != '\0' && (!take_number(&text, &last) || *text != '\0' || last < first))
        return 0;
    if (first >= size)
        return -ERANGE;
    if (last >= size)
        last = size - 1;
    *ret_first = first;
    *ret_len = last - first + 1;
    return 1;
}

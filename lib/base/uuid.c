/* SPDX-License-Identifier: MIT */
#include "lib/base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/encode.h"

#define HEX "0123456789abcdef"

bool uuid_is_valid(const char *text)
{
    static const size_t groups[] = { 8, 4, 4, 4, 12 };

    if (!text)
        return false;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (strspn(text, HEX) != groups[i] || text[groups[i]] != (i < 4 ? '-' : '\0'))
            return false;
        text += groups[i] + 1;
    }
    return true;
}

int uuid_parse(const char *text, char ret[static UUID_SIZE])
{
    if (!text || strlen(text) != UUID_SIZE - 1)
        return -EINVAL;
    for (size_t i = 0; i < UUID_SIZE; i++)
        ret[i] = (char) (text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
    return uuid_is_valid(ret) ? 0 : -EINVAL;
}

void uuid_format(const uint8_t bytes[static UUID_BYTES], unsigned version, char ret[static UUID_SIZE])
{
    uint8_t b[UUID_BYTES];

    memcpy(b, bytes, sizeof(b));
    b[6] = (uint8_t) ((version << 4) | (b[6] & 0x0f));
    b[8] = (uint8_t) (0x80 | (b[8] & 0x3f));
    (void) snprintf(ret, UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                    b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void uuid7_format(uint64_t unix_msec, const uint8_t random[static 10], char ret[static UUID_SIZE])
{
    uint8_t b[UUID_BYTES];

    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t) (unix_msec >> (40 - 8 * i));
    memcpy(b + 6, random, 10);
    uuid_format(b, 7, ret);
}

void uuid4_make(char ret[static UUID_SIZE])
{
    uint8_t random[UUID_BYTES];

    random_bytes(random, sizeof(random));
    uuid_format(random, 4, ret);
}

void uuid7_make(char ret[static UUID_SIZE])
{
    uint8_t random[10];

    random_bytes(random, sizeof(random));
    uuid7_format(realtime_usec() / USEC_PER_MSEC, random, ret);
}

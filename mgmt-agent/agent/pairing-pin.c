/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/pairing-pin.h"

#include <stdint.h>

#include "lib/base/encode.h"
#include "lib/data/digest.h"

#define FREE_TRIES 5
#define FIRST_DELAY (30 * USEC_PER_SEC)
#define DELAY_MAX (15 * USEC_PER_MINUTE)

void pin_make(char ret[static PIN_SIZE])
{
    for (int i = 0; i < PIN_DIGITS; i++)
        ret[i] = (char) ('0' + random_below(10));
    ret[PIN_DIGITS] = '\0';
}

bool pin_is_right(const char *pin, const char *typed)
{
    char digits[PIN_SIZE] = "";
    int n = 0;

    for (; *typed; typed++) {
        if (*typed == ' ' || *typed == '-')
            continue;
        if (n == PIN_DIGITS || *typed < '0' || *typed > '9')
            return false;
        digits[n++] = *typed;
    }
    return secret_equal(pin, digits);
}

usec_t pin_delay(unsigned failures)
{
    usec_t delay = FIRST_DELAY;

    if (failures < FREE_TRIES)
        return 0;
    for (unsigned i = FREE_TRIES; i < failures && delay < DELAY_MAX; i++)
        delay *= 2;
    return delay < DELAY_MAX ? delay : DELAY_MAX;
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/network-values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"

#define MIB (1024.0 * 1024.0)

/* As systemd and the kernel name cards: Ethernet, WiFi, mobile. */
static bool is_hardware(const char *name)
{
    static const char *const kinds[] = { "en", "eth", "wl", "ww" };

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (str_starts(name, kinds[i]))
            return true;
    return false;
}

/* Bytes, packets, errors, drops and more of what was received; then the same of what was sent. */
static bool add_line(const char *line, bool hardware, NetworkValues *sum)
{
    unsigned long long rx, rx_errors, rx_drops, tx, tx_errors, tx_drops;
    char name[32];

    if (sscanf(line, " %31[^: ]: %19llu %*u %19llu %19llu %*u %*u %*u %*u %19llu %*u %19llu %19llu", name, &rx,
               &rx_errors, &rx_drops, &tx, &tx_errors, &tx_drops) != 7 ||
        str_equal(name, "lo") || (hardware && !is_hardware(name)))
        return false;
    sum->received += rx;
    sum->sent += tx;
    sum->errors += rx_errors + rx_drops + tx_errors + tx_drops;
    return true;
}

int network_values_parse(const char *text, bool hardware, NetworkValues *ret)
{
    NetworkValues sum = {};
    unsigned n = 0;

    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        n += add_line(line, hardware, &sum);
    if (n == 0)
        return -EINVAL;
    *ret = sum;
    return 0;
}

static int add_whole(cJSON *o, const char *key, double n)
{
    return cJSON_AddNumberToObject(o, key, (double) (long long) n) ? 0 : -ENOMEM;
}

int network_values_describe(const NetworkValues *c, cJSON *o, const char *key)
{
    cJSON *network = cJSON_AddObjectToObject(o, key);

    return !network || add_whole(network, "receivedMiB", (double) c->received / MIB) < 0 ||
                   add_whole(network, "sentMiB", (double) c->sent / MIB) < 0 ||
                   add_whole(network, "errors", (double) c->errors) < 0
               ? -ENOMEM
               : 0;
}

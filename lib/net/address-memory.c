/* SPDX-License-Identifier: MIT */
#include "lib/net/address-memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"

#define REMEMBERED_MAX 8
#define ADDRESS_SIZE (INET6_ADDRSTRLEN + sizeof("[]:65535"))

static char remembered[REMEMBERED_MAX][ADDRESS_SIZE]; /* the latest last */
static unsigned n_remembered;

static void forget(unsigned i)
{
    n_remembered--;
    memmove(remembered[i], remembered[i + 1], (n_remembered - i) * sizeof(remembered[0]));
}

void address_note(const char *address, bool good)
{
    unsigned rank = address_rank(address);

    if (str_empty(address) || strlen(address) >= ADDRESS_SIZE)
        return;
    if (rank > 0)
        forget(rank - 1);
    if (good)
        return;
    if (n_remembered == REMEMBERED_MAX)
        forget(0);
    (void) snprintf(remembered[n_remembered++], ADDRESS_SIZE, "%s", address);
}

unsigned address_rank(const char *address)
{
    for (unsigned i = 0; i < n_remembered; i++)
        if (str_equal(remembered[i], address))
            return i + 1;
    return 0;
}

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
static char narrow[REMEMBERED_MAX][ADDRESS_SIZE];
static unsigned next_narrow;

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

static char *find_narrow(const char *address)
{
    for (unsigned i = 0; i < REMEMBERED_MAX; i++)
        if (!str_empty(address) && str_equal(narrow[i], address))
            return narrow[i];
    return NULL;
}

void address_note_silence(const char *address)
{
    char *known = find_narrow(address);

    if (known)
        known[0] = '\0';
    else if (!str_empty(address))
        (void) snprintf(narrow[next_narrow++ % REMEMBERED_MAX], ADDRESS_SIZE, "%s", address);
}

bool address_is_narrow(const char *address)
{
    return find_narrow(address) != NULL;
}

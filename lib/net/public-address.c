/* SPDX-License-Identifier: MIT */
#include "lib/net/public-address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

typedef struct Network4 {
    uint8_t base[4];
    unsigned bits;
} Network4;

/* the IANA registry of special-purpose addresses, and multicast and above */
static const Network4 special4[] = {
    { { 0 }, 8 },
    { { 10 }, 8 },
    { { 100, 64 }, 10 },
    { { 127 }, 8 },
    { { 169, 254 }, 16 },
    { { 172, 16 }, 12 },
    { { 192, 0, 0 }, 24 },
    { { 192, 0, 2 }, 24 },
    { { 192, 88, 99 }, 24 },
    { { 192, 168 }, 16 },
    { { 198, 18 }, 15 },
    { { 198, 51, 100 }, 24 },
    { { 203, 0, 113 }, 24 },
    { { 224 }, 3 },
};

typedef struct Network6 {
    uint8_t base[16];
    unsigned bits;
} Network6;

/* what lies in 2000::/3, the only part that is given out, and is special all the same */
static const Network6 special6[] = {
    { { 0x20, 0x01, 0x00 }, 23 },       /* protocols, Teredo among them */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
    { { 0x20, 0x02 }, 16 },             /* 6to4 */
    { { 0x3f, 0xff }, 20 },             /* documentation */
};

static const Network6 global6 = { { 0x20 }, 3 };
static const Network6 mapped4 = { { [10] = 0xff, [11] = 0xff }, 96 };
static const Network6 translated4 = { { 0x00, 0x64, 0xff, 0x9b }, 96 }; /* NAT64 */

static bool in_network(const uint8_t *address, const uint8_t *base, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(address, base, whole) != 0)
        return false;
    return rest == 0 || ((address[whole] ^ base[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

static bool is_public4(const uint8_t address[static 4])
{
    for (size_t i = 0; i < ELEMENTSOF(special4); i++)
        if (in_network(address, special4[i].base, special4[i].bits))
            return false;
    return true;
}

static bool is_public6(const uint8_t address[static 16])
{
    if (in_network(address, mapped4.base, mapped4.bits) || in_network(address, translated4.base, translated4.bits))
        return is_public4(address + 12);
    if (!in_network(address, global6.base, global6.bits))
        return false;
    for (size_t i = 0; i < ELEMENTSOF(special6); i++)
        if (in_network(address, special6[i].base, special6[i].bits))
            return false;
    return true;
}

/* The bytes of an address, and how many. 0: it is none. */
static size_t address_bytes(const struct sockaddr *address, uint8_t ret[static 16])
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        memcpy(ret, &in.sin_addr, 4);
        return 4;
    }
    if (address->sa_family != AF_INET6)
        return 0;
    memcpy(&in6, address, sizeof(in6));
    memcpy(ret, &in6.sin6_addr, 16);
    return 16;
}

bool address_is_public(const struct sockaddr *address)
{
    uint8_t bytes[16];
    size_t n = address_bytes(address, bytes);

    return n == 4 ? is_public4(bytes) : n == 16 && is_public6(bytes);
}

bool address_is_loopback(const struct sockaddr *address)
{
    static const uint8_t loopback6[16] = { [15] = 1 };
    uint8_t bytes[16];
    size_t n = address_bytes(address, bytes);

    if (n == 16 && in_network(bytes, mapped4.base, mapped4.bits))
        return bytes[12] == 127;
    return n == 4 ? bytes[0] == 127 : n == 16 && memcmp(bytes, loopback6, 16) == 0;
}

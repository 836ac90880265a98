/* SPDX-License-Identifier: MIT */
/* SHA-1 for the WebSocket handshake. */
#include <errno.h>
#include <openssl/evp.h>

#include "lib/data/digest-sha1.h"

int sha1(const void *data, size_t len, uint8_t ret[static SHA1_SIZE])
{
    return EVP_Digest(data, len, ret, NULL, EVP_sha1(), NULL) == 1 ? 0 : -EIO;
}

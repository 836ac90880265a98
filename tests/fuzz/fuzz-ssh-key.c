/* SPDX-License-Identifier: MIT */
/* A public key is refused, or it is one of the two kinds in its one form: its type and fields make the same line again. */
#include <stdint.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/ssh-cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    SshPublicKey key = {};
    uint8_t blob[256];

    if (!text || ssh_public_key_parse(text, &key, NULL) < 0)
        return 0;
    size_t type_len = strlen(key.type);
    if (key.fields_len > sizeof(blob) - 4 - type_len || strlen(key.fingerprint) != SSH_FINGERPRINT_SIZE - 1)
        abort();
    memcpy(blob, (const uint8_t[]) { 0, 0, 0, (uint8_t) type_len }, 4);
    memcpy(blob + 4, key.type, type_len);
    memcpy(blob + 4 + type_len, key.fields, key.fields_len);
    _cleanup_(freep) char *encoded = base64_encode(blob, 4 + type_len + key.fields_len);
    _cleanup_(freep) char *line = encoded ? str_format("%s %s", key.type, encoded) : NULL;
    if (line && !str_starts(text, line))
        abort();
    ssh_public_key_done(&key);
    return 0;
}

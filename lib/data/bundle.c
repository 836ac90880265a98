/* SPDX-License-Identifier: MIT */
#include "lib/data/bundle.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"

bool bundle_digest_is_valid(const char *digest)
{
    const char *hex =
        str_starts(digest ? digest : "", BUNDLE_DIGEST_PREFIX) ? digest + strlen(BUNDLE_DIGEST_PREFIX) : "";

    return strlen(hex) == SHA256_HEX_SIZE - 1 && strspn(hex, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

int bundle_digest(const char *data, size_t len, char ret[static BUNDLE_DIGEST_SIZE])
{
    memcpy(ret, BUNDLE_DIGEST_PREFIX, strlen(BUNDLE_DIGEST_PREFIX));
    return sha256_hex(data, len, ret + strlen(BUNDLE_DIGEST_PREFIX));
}

bool bundle_path_is_valid(const char *path)
{
    size_t len = strlen(path);

    if (len == 0 || len > BUNDLE_PATH_MAX)
        return false;
    for (const char *p = path; *p; p++)
        if (iscntrl((unsigned char) *p) || *p == '\\' || *p == ':')
            return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += part != path;
        size_t n = strcspn(part, "/");

        if (n == 0 || n > NAME_MAX || (n == 1 && *part == '.') || (n == 2 && strncmp(part, "..", 2) == 0))
            return false;
    }
    return true;
}

int bundle_snapshot_digest(const char *text, const char *digest, char ret[static SHA256_HEX_SIZE])
{
    _cleanup_(freep) char *both = NULL;
    int r = sha256_hex(text, strlen(text), ret);

    if (r < 0 || !digest)
        return r;
    both = str_format("%s\n%s\n", ret, digest);
    return both ? sha256_hex(both, strlen(both), ret) : -ENOMEM;
}

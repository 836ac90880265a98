/* SPDX-License-Identifier: MIT */
/* A box that comes with a token for many: who it is, it says itself. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/pairing-impl.h"

#define BOOTSTRAP_BYTES 32
#define SUFFIX_BYTES 3
#define HOST_MAX 50 /* with the suffix less than a device id may have */

/* Of the machine's name what a device id may hold. */
static void host_part(char ret[static HOST_MAX + 1])
{
    char name[256] = "";
    size_t n = 0;

    if (gethostname(name, sizeof(name) - 1) < 0)
        name[0] = '\0';
    for (const char *c = name; *c && *c != '.' && n < HOST_MAX; c++)
        if (isascii((unsigned char) *c) && (isalnum((unsigned char) *c) || (n > 0 && strchr("_-", *c))))
            ret[n++] = *c;
    ret[n] = '\0';
}

/* Machines made of one image have one name: the digits tell them apart. */
static char *make_name(void)
{
    char host[HOST_MAX + 1];
    uint8_t bytes[SUFFIX_BYTES];

    host_part(host);
    random_bytes(bytes, sizeof(bytes));
    _cleanup_(freep) char *suffix = hex_encode(bytes, sizeof(bytes));
    return suffix ? str_format("%s-%s", str_empty(host) ? "box" : host, suffix) : NULL;
}

int pairing_enrol(ClaimDocument *claim, Error *err)
{
    uint8_t bytes[BOOTSTRAP_BYTES];

    random_bytes(bytes, sizeof(bytes));
    _cleanup_(secret_freep) char *encoded = base64url_encode(bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    secret_free(claim->bootstrap);
    claim->bootstrap = encoded ? str_format("sbb_%s", encoded) : NULL;
    if (!claim->device_id)
        claim->device_id = make_name();
    if (!claim->bootstrap || !claim->device_id)
        return error_from_errno(err, -ENOMEM, "cannot make this box's own token");
    redact_add_secret(claim->bootstrap);
    return 0;
}

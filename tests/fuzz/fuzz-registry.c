/* SPDX-License-Identifier: MIT */
/* What a registry says about authentication, and the dialect of podman's configuration. The first byte chooses the reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/toml.h"
#include "lib/http/client.h"
#include "lib/registry/auth-challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_challenge(const char *text)
{
    _cleanup_(challenge_done) Challenge c = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *url = NULL;

    if (challenge_parse(text, &c, &err) < 0) {
        if (!err.id || c.realm || c.service || c.scope)
            abort();
        return;
    }
    if (!c.realm || url_check(c.realm, "https", NULL) < 0)
        return;
    /* whatever service and scope are, they stay inside the query */
    url = token_url(c.realm, c.service, c.scope);
    if (url && (!url_same_origin(c.realm, url) || strpbrk(url + strlen(c.realm), " \r\n#")))
        abort();
}

static void read_token(const char *text, size_t len)
{
    _cleanup_(freep) char *token = NULL;
    _cleanup_(error_done) Error err = {};

    if (token_parse(text, len, &token, &err) < 0 ? !err.id || token : !*token || strpbrk(token, " \t\r\n:,;"))
        abort();
}

static int count(const char *table, const char *key, TomlType type, const char *value, unsigned line, void *userdata)
{
    size_t *n = userdata;

    (void) type;
    *n += strlen(table) > 0;
    return !key || !value || line == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *rest = (const char *) data + 1;
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error err = {};
    size_t n = 0;
    int r;

    if (size == 0 || !(text = strndup(rest, size - 1)))
        return 0;
    if (*data == 'c')
        read_challenge(text);
    if (*data == 't')
        read_token(rest, size - 1);
    if (*data != 'f')
        return 0;
    r = toml_read(rest, size - 1, "file", count, &n, &err);
    if (r > 0 || (r < 0 && !err.id))
        abort();
    return 0;
}

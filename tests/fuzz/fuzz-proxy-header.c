/* SPDX-License-Identifier: MIT */
/* The PROXY header, in one piece and byte by byte, and X-Forwarded-For. What is whole is no longer than it may be, and both ways of
 * reading agree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/http/proxy-header.h"

static int feed(const uint8_t *data, size_t len, size_t step, char **ret_peer, size_t *ret_used)
{
    size_t n = 0;
    int wanted;
    while ((wanted = proxy_header_read(data, n, ret_peer, NULL)) > 0) {
        if ((size_t) wanted > PROXY_HEADER_MAX)
            abort();
        n += (size_t) wanted < step ? (size_t) wanted : step;
        if (n > len)
            return 1;
        if (n > PROXY_HEADER_MAX)
            abort();
    }
    *ret_used = n;
    return wanted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *at_once = NULL, *slowly = NULL, *text = NULL, *forwarded = NULL;
    _cleanup_(proxy_list_freep) ProxyList *list = NULL, *own = NULL;
    size_t used = 0, used_slowly = 0;
    int r = feed(data, size, SIZE_MAX, &at_once, &used), slow = feed(data, size, 1, &slowly, &used_slowly);
    if (r == 0 && (slow != 0 || used != used_slowly || !str_equal(at_once, slowly)))
        abort();
    text = strndup((const char *) data, size);
    if (!text || proxy_list_new("127.0.0.1,10.0.0.0/8", &own, NULL) < 0)
        return 0;
    forwarded = proxy_forwarded_peer(own, text);
    if (forwarded && (proxy_list_has_text(own, forwarded) || strpbrk(forwarded, " ,\r\n")))
        abort();
    if (proxy_list_new(text, &list, NULL) == 0)
        (void) proxy_list_has_text(list, "127.0.0.1:80");
    return 0;
}

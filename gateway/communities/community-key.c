/* SPDX-License-Identifier: MIT */
#include "gateway/communities/community-key.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "lib/data/key.h"

int community_key_make(char **ret_pem, char **ret_jwk, Error *err)
{
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(secret_freep) char *pem = NULL;
    int r = key_generate(&key, err);

    if (r >= 0)
        r = key_to_text(key, &pem, err);
    if (r >= 0 && !(*ret_jwk = key_jwk(key)))
        r = error_from_errno(err, -ENOMEM, "cannot make a community's key");
    if (r < 0)
        return r;
    *ret_pem = TAKE_PTR(pem);
    return 0;
}

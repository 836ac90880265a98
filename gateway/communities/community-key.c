/* SPDX-License-Identifier: MIT */
#include "gateway/communities/community-key.h"

#include <errno.h>

#include "gateway/communities/api-communities.h"
#include "gateway/store/passes-table.h"
#include "lib/base/strv.h"
#include "lib/data/key.h"

static int make(char **ret_pem, char **ret_jwk, Error *err)
{
    _cleanup_(key_freep) Key *key = NULL;
    int r = key_generate(&key, err);

    if (r >= 0)
        r = key_to_text(key, ret_pem, err);
    if (r >= 0 && !(*ret_jwk = key_jwk(key)))
        r = error_from_errno(err, -ENOMEM, "cannot make a community's key");
    return r;
}

void community_key_make(Request *c, const char *community, request_rows_t on_kept)
{
    _cleanup_(secret_freep) char *pem = NULL;
    _cleanup_(freep) char *jwk = NULL;
    _cleanup_(error_done) Error err = {};
    int r = make(&pem, &jwk, &err);

    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_pass_key_keep(community, pem, jwk, c->actor), on_kept);
}

const char *community_key_kept(Request *c, const char *community, const StoreRows *rows)
{
    const CommunityEvents *events = c->module;
    _cleanup_(error_done) Error err = {};
    uint64_t version;

    if (store_rows_count(rows) == 0) {
        request_fail(c, error_set(&err, ENOENT, "community.not-found", "there is no community %s here", community),
                     &err);
        return NULL;
    }
    if (events->on_changed && store_rows_u64(rows, 0, 2, INT64_MAX, &version) >= 0)
        events->on_changed(community, store_rows_get(rows, 0, 1), version, events->userdata);
    return store_rows_get(rows, 0, 0);
}

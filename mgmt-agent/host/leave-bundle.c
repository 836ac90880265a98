/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/leave-bundle.h"

#include "lib/base/strv.h"
#include "mgmt-agent/state/bundle-store.h"

int leave_bundle(BundlePack *pack, char ret_digest[static BUNDLE_DIGEST_SIZE], int *ret_lock, Error *err)
{
    _cleanup_(secret_freep) char *data = NULL;
    size_t len = 0;
    int r = bundle_pack_finish(pack, &data, &len, ret_digest, err);

    return r < 0 ? r : bundle_store_put(ret_digest, data, len, ret_lock, err);
}

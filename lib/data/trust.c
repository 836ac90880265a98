/* SPDX-License-Identifier: MIT */
#include "lib/data/trust.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"

void trust_done(Trust *t)
{
    order_signers_done(&t->signers);
    trust_root_done(&t->root);
    free(t->root_signed_by);
    *t = (Trust) {};
}

/* Who could change it could name himself, so its place is looked at as that of any pinned key. */
static int load_root(const char *path, Trust *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = NULL;
    _cleanup_(error_done) Error why = {};
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    int r = order_signers_check_place(path, err);

    if (r < 0)
        return r;
    r = file_read(path, TRUST_ROOT_FILE_MAX, &text, &len, &why);
    if (r == 0)
        r = json_parse_object(text, len, &envelope, &why);
    if (r == 0)
        r = trust_root_open(envelope, NULL, &ret->root, &ret->root_signed_by, &why);
    if (r == 0)
        r = trust_root_signers(&ret->root, &ret->signers, &why);
    if (r == -ENOMEM)
        return error_from_errno(err, r, "cannot read the root document");
    return r < 0 ? error_set(err, EBADMSG, "root.damaged",
                             "%s: %s; `secboxctl trust root forget` goes back to the keys beside it", path,
                             error_message(&why, r))
                 : 0;
}

int trust_load(Trust *ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SIGNERS_DIR "/" TRUST_ROOT_NAME);

    *ret = (Trust) {};
    if (!path)
        return error_from_errno(err, -ENOMEM, "cannot read the signers");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return order_signers_load(&ret->signers, err);
    int r = load_root(path, ret, err);
    if (r < 0)
        trust_done(ret);
    return r;
}

int trust_check_time(const Trust *t, const OrderView *view, Error *err)
{
    char at[TIMESTAMP_SIZE];

    if (t->root.version == 0 || !view->clock_is_known || view->now <= t->root.expires)
        return 0;
    return error_set(
        err, EACCES, "root.expired",
        "the root document of this box was good until %s: send it a newer one with secbox-fleet trust send",
        timestamp_format(t->root.expires, at));
}

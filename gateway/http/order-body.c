/* SPDX-License-Identifier: MIT */
/* See order-body.h. */
#include "gateway/http/order-body.h"

#include <errno.h>

#include "lib/data/json.h"
#include "lib/data/order-envelope.h"

int order_body_read(const cJSON *body, char **ret, Error *err)
{
    const cJSON *envelope = cJSON_GetObjectItemCaseSensitive(body, "order");

    *ret = NULL;
    if (!envelope)
        return 0;
    int r = order_envelope_check_form(envelope, err);
    if (r == -EBADMSG)
        r = -EINVAL;
    if (r < 0)
        return r;
    *ret = json_print(envelope);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "cannot take the order");
}

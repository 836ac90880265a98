/* SPDX-License-Identifier: MIT */
/* A token bucket, and when to come back for those who find it empty. */
#include "gateway/devices/admission.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/encode.h"

/* A box waits no longer than this, whatever it is told (lib/tunnel/tunnel-state.c). */
#define SECONDS_MAX 3600

void admission_init(Admission *a, unsigned rate, unsigned burst)
{
    a->accepts = token_bucket_make(rate, burst, boottime_usec());
}

int admission_check(Admission *a, unsigned *ret_retry_after, Error *err)
{
    usec_t now = boottime_usec();
    *ret_retry_after = 1;
    if (!a->ready) /* a moment; when it is longer the boxes slow down by themselves */
        return error_set(err, EBUSY, "store.unavailable", "the gateway is starting, come back in some seconds");
    if (token_bucket_has(&a->accepts, now))
        return 0;
    /* anywhere from half to one and a half times its wait, so that boxes turned away together do not return together */
    usec_t turn = token_bucket_queue(&a->accepts, now);
    usec_t seconds = 1 + (turn / 2 + random_below(turn + 1)) / USEC_PER_SEC;
    *ret_retry_after = seconds < SECONDS_MAX ? (unsigned) seconds : SECONDS_MAX;
    return error_set(err, EBUSY, "gateway.busy",
                     "more boxes are coming back at once than this gateway takes in a second (%u); come back in %u s",
                     (unsigned) a->accepts.rate, *ret_retry_after);
}

void admission_take(Admission *a)
{
    (void) token_bucket_take(&a->accepts, boottime_usec());
}

int admission_spread(const Admission *a, size_t boxes)
{
    size_t seconds = (boxes + (size_t) a->accepts.rate - 1) / (size_t) a->accepts.rate;
    return seconds < 1 ? 1 : seconds < SECONDS_MAX ? (int) seconds : SECONDS_MAX;
}

/* SPDX-License-Identifier: MIT */
/* doctor: whose signed orders this box takes. */
#include <errno.h>

#include "lib/base/paths.h"
#include "lib/data/order-signers.h"
#include "mgmt-agent/secboxctl/doctor.h"

void check_signers(Doctor *d, Finding *f)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};
    _cleanup_(freep) char *folder = path_in_root(SIGNERS_DIR);
    _cleanup_(error_done) Error err = {};
    int r = order_signers_load(&signers, &err);

    (void) d;
    if (r < 0) {
        finding_set(f, VERDICT_FAIL,
                    "Until this is mended, the box takes no order of the cloud; what root says on it counts as always.",
                    "%s", error_message(&err, r));
        if (folder)
            finding_since_file(f, folder);
    } else if (signers.n == 0) {
        finding_pass(f, "none are pinned: orders of whomever the gateway has let in are taken");
    } else {
        finding_pass(f, "%u of %zu must sign each order", signers.threshold, signers.n);
    }
}

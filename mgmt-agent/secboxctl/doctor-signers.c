/* SPDX-License-Identifier: MIT */
/* doctor: whose signed orders this box takes, and whose ssh certificates not. */
#include <errno.h>

#include "lib/base/paths.h"
#include "lib/cli/finding-clock.h"
#include "lib/data/ssh-revocations.h"
#include "lib/data/trust.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define EXPIRES_SOON (30 * USEC_PER_DAY)

/* Said in good time: what replaces it has to be signed by several people. */
static void judge_root(const Trust *trust, Finding *f)
{
    unsigned long long version = trust->root.version;
    char at[TIMESTAMP_SIZE];
    usec_t now = 0;
    bool known = clock_known_time(&now);

    timestamp_format(trust->root.expires, at);
    if (known && now > trust->root.expires)
        finding_set(f, VERDICT_FAIL, "Make, sign and send a newer one: secbox-fleet trust make, sign and send.",
                    "version %llu of the root document was good until %s: the box takes no order of the cloud", version,
                    at);
    else if (known && now + EXPIRES_SOON > trust->root.expires)
        finding_set(f, VERDICT_FAIL, "Make, sign and send a newer one: secbox-fleet trust make, sign and send.",
                    "version %llu of the root document is good until %s only", version, at);
    else
        finding_pass(f, "%u of %zu must sign each order, as version %llu of the root document says",
                     trust->signers.threshold, trust->signers.n, version);
}

void check_signers(Doctor *d, Finding *f)
{
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(freep) char *folder = path_in_root(SIGNERS_DIR);
    _cleanup_(error_done) Error err = {};
    int r = trust_load(&trust, &err);

    (void) d;
    if (r < 0) {
        finding_set(f, VERDICT_FAIL,
                    "Until this is mended, the box takes no order of the cloud; what root says on it counts as always.",
                    "%s", error_message(&err, r));
        if (folder)
            finding_since_file(f, folder);
    } else if (trust.signers.n == 0) {
        finding_pass(f, "none are pinned: orders of whomever the gateway has let in are taken");
    } else if (trust.root.version > 0) {
        judge_root(&trust, f);
    } else {
        finding_pass(f, "%u of %zu must sign each order", trust.signers.threshold, trust.signers.n);
    }
}

/* What is damaged keeps nobody out: the lines that can be read still count. */
void check_revocations(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_REVOCATIONS_PATH);
    _cleanup_(error_done) Error err = {};
    int r = path ? ssh_revocations_check(path, &err) : -ENOMEM;

    (void) d;
    if (r < 0) {
        finding_set(f, VERDICT_FAIL, "Have the cloud send it anew.",
                    "%s: ssh certificates that were revoked may still be taken", error_message(&err, r));
        if (path)
            finding_since_file(f, path);
        finding_remedy(f, "rm %s && systemctl restart mgmt-agent", AGENT_REVOCATIONS_PATH);
    } else {
        finding_pass(f, "the list of revoked ssh certificates is whole, or there never was one");
    }
}

/* SPDX-License-Identifier: MIT */
/* Whether somebody may come in by a pass: pure, from the pass, the community's key and what is known of the guest. The guards'
 * app decides by the same rules when the box is away (secbox/lan/app/pass.mjs); tests/cases/pass.json holds both to them.
 *
 * A pass never makes anything better: its guest is judged like any other (verdict.h), and one that is not good takes AUTORIZADO
 * away. A guest who is banned is VETADO, whatever the pass says. */
#pragma once

#include "lib/data/pass.h"
#include "secbox/lan/verdict.h"

/* Why nobody may come in by it, in the order in which they are told. */
typedef enum PassFault {
    PASS_GOOD,
    PASS_NO_KEY,          /* the cloud has not told the community's key */
    PASS_INVALID,         /* not signed by that key, or no pass at all */
    PASS_OTHER_COMMUNITY, /* signed by it, and for another community nevertheless */
    PASS_NOT_YET,
    PASS_EXPIRED,
    PASS_REVOKED, /* the guest is no longer in the community's data */
    PASS_USED,
} PassFault;

/* "", "pass-no-key", "pass-invalid", … */
const char *pass_fault_name(PassFault f);

/* What the text alone tells. ret is set for a pass that says whose it is: pass_names_guest(). key NULL: none is known. */
PassFault pass_check(const Key *key, const char *community, int64_t now, const char *text, Pass *ret);
bool pass_names_guest(PassFault f);
/* The same with what is known of that guest. */
PassFault pass_check_guest(PassFault f, bool known, bool used);

Verdict pass_verdict(PassFault f, Verdict guest);

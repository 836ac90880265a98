/* SPDX-License-Identifier: MIT */
/* What is said of a finding, and where it goes when all of them are asked for. */
#pragma once

#include "compose/policy/policy-rules.h"

/* Notes what an entry in policy.json would have to be, in this list of the service, for the finding that comes next. What is
 * found without such a note can be allowed by nothing. */
int policy_note_entry(const PolicyCheck *c, const char *list, const char *entry) _must_check_;
/* Sets the error, with the entry of "allow" that would lift it. -EPERM or -ENOMEM. */
int policy_refuse(const PolicyCheck *c, const char *key, const char *item, const char *why) _must_check_;
/* The same for what no entry lifts. */
int policy_refuse_always(const PolicyCheck *c, const char *key, const char *why) _must_check_;
/* r, or 0 when it is a finding, all are asked for, and this one is in its list now. */
int policy_pass_on(const PolicyCheck *c, int r) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Whether sessions of support staff are recorded: what the gateway's environment says, and what follows for a certificate. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/data/seal.h"

#define RECORD_SESSIONS_VARIABLE "RECORD_SESSIONS"
#define AUDITOR_KEY_VARIABLE "AUDITOR_KEY"

typedef struct RecordingPolicy {
    const char *mode; /* static: "wanted", "required"; NULL: nothing is recorded */
    char auditor[SEAL_PUBLIC_TEXT + 1];
} RecordingPolicy;

/* Of the two variables' values, which may be NULL or empty. -EINVAL "config.record-sessions". */
int recording_policy_read(const char *mode, const char *auditor, RecordingPolicy *ret, Error *err) _must_check_;
/* The mode for a grant: a break-glass one gets in where nothing can be recorded, too. */
const char *recording_policy_mode(const RecordingPolicy *p, bool break_glass);
/* The command that a certificate has its sessions run (force-command): the recorder, and where a box has none that runs, what the
 * mode says. For any Bourne shell. A new string in *ret, NULL where nothing is recorded; -ENOMEM. `grant` is an id of ours. */
int recording_policy_command(const RecordingPolicy *p, const char *grant, uint64_t serial, bool break_glass,
                             char **ret) _must_check_;

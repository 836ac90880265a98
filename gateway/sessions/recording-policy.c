/* SPDX-License-Identifier: MIT */
#include "gateway/sessions/recording-policy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/strv.h"

#define RECORDER "/usr/lib/secbox/session-recorder"

#define BEGIN                                                                                                          \
    "if " RECORDER " --check 2>/dev/null; then exec " RECORDER " --grant %s --serial %" PRIu64 " --key %s%s; fi; "
#define REFUSE                                                                                                         \
    "echo 'secbox: sessions have to be recorded here, and this box has no recorder that runs: bring its packages up "  \
    "to date. A break-glass grant gets in without.' >&2; exit 1"
/* As the recorder runs it when it cannot record. */
#define GO_ON                                                                                                          \
    "echo 'secbox: this session is NOT recorded: this box has no recorder that runs.' >&2; "                           \
    "case \"$SSH_ORIGINAL_COMMAND\" in '') exec \"${SHELL:-/bin/sh}\" -l;; "                                           \
    "internal-sftp*) exec /usr/lib/openssh/sftp-server;; "                                                             \
    "*) exec \"${SHELL:-/bin/sh}\" -c \"$SSH_ORIGINAL_COMMAND\";; esac"

int recording_policy_read(const char *mode, const char *auditor, RecordingPolicy *ret, Error *err)
{
    static const char *const modes[] = { "wanted", "required" };
    uint8_t key[HPKE_KEY_SIZE];

    *ret = (RecordingPolicy) {};
    if (str_empty(mode) || str_equal(mode, "no"))
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(modes); i++)
        if (str_equal(mode, modes[i]))
            ret->mode = modes[i];
    if (!ret->mode)
        return error_set(err, EINVAL, "config.record-sessions",
                         RECORD_SESSIONS_VARIABLE " is wanted, required or no, not \"%s\"", mode);
    if (!auditor || strlen(auditor) != SEAL_PUBLIC_TEXT || seal_public_parse(auditor, key) < 0)
        return error_set(err, EINVAL, "config.record-sessions",
                         AUDITOR_KEY_VARIABLE
                         " has to be what stands in the .pub file that secbox-fleet auditor-key has "
                         "made: nobody else could open what is recorded");
    memcpy(ret->auditor, auditor, sizeof(ret->auditor));
    return 0;
}

const char *recording_policy_mode(const RecordingPolicy *p, bool break_glass)
{
    return p->mode && break_glass ? "wanted" : p->mode;
}

int recording_policy_command(const RecordingPolicy *p, const char *grant, uint64_t serial, bool break_glass, char **ret)
{
    const char *mode = recording_policy_mode(p, break_glass);
    const bool required = str_equal(mode, "required");

    *ret = NULL;
    if (!mode)
        return 0;
    *ret = str_format(BEGIN "%s", grant, serial, p->auditor, required ? " --required" : "", required ? REFUSE : GO_ON);
    return *ret ? 0 : -ENOMEM;
}

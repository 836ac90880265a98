/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/wait.h>

#include "lib/base/find-program.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/release.h"

#define ASK_TIMEOUT (20 * USEC_PER_SEC)
/* TimeoutStopSec= and TimeoutStartSec= of the units, and some room */
#define CHANGE_TIMEOUT (120 * USEC_PER_SEC)

static bool run(const char *const *argv, usec_t timeout, ProcessResult *result)
{
    const ProcessSpec spec = { .argv = argv, .timeout_usec = timeout };

    return process_run(&spec, NULL, NULL, result, NULL) >= 0 && !result->timed_out && WIFEXITED(result->status) &&
           WEXITSTATUS(result->status) == 0;
}

/* What systemd says; a new string, or NULL. */
static char *property(const char *unit, const char *name)
{
    _cleanup_(freep) char *systemctl = find_program("systemctl");
    const char *const argv[] = { systemctl, "show", "-P", name, unit, NULL };
    _cleanup_(process_result_done) ProcessResult result = {};

    if (!systemctl || !run(argv, ASK_TIMEOUT, &result) || !result.out)
        return NULL;
    result.out[strcspn(result.out, "\n")] = '\0';
    return TAKE_PTR(result.out);
}

bool release_unit_runs(const char *unit)
{
    _cleanup_(freep) char *state = property(unit, "ActiveState");

    return state && !str_empty(state) && !str_equal(state, "inactive") && !str_equal(state, "failed");
}

uint64_t release_unit_pid(const char *unit)
{
    _cleanup_(freep) char *text = property(unit, "MainPID");
    uint64_t pid = 0;

    return text && str_to_u64(text, 1, INT32_MAX, &pid) == 0 ? pid : 0;
}

bool release_unit_do(const char *verb, const char *unit)
{
    _cleanup_(freep) char *systemctl = find_program("systemctl");
    const char *const argv[] = { systemctl, "--no-ask-password", verb, unit, NULL };
    const char *const at_boot[] = { systemctl, "--no-ask-password", "--no-block", verb, unit, NULL };
    _cleanup_(process_result_done) ProcessResult result = {};
    bool waits = str_equal(verb, "restart");

    return systemctl && run(waits ? argv : at_boot, CHANGE_TIMEOUT, &result);
}

bool release_tunnel_is_up(void)
{
    _cleanup_(cJSON_Deletep) cJSON *report = NULL;

    return secboxctl_ask_secbox("device", ASK_TIMEOUT, &report, NULL) >= 0 &&
           str_equal(json_string(report, "tunnel"), "up");
}

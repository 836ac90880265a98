/* SPDX-License-Identifier: MIT */
/* doctor: programs of the system, which it asks. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define TIMEOUT (20 * USEC_PER_SEC)

bool run_quietly(const char *const *argv, char **ret)
{
    _cleanup_(process_result_done) ProcessResult result = {};
    const ProcessSpec spec = { .argv = argv, .timeout_usec = TIMEOUT, .keep_with_parent = true };

    if (process_run(&spec, NULL, NULL, &result, NULL) < 0)
        return false;
    bool well = !result.timed_out && WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0;
    char *text = well ? result.out : result.err;
    if (ret && text) {
        text[strcspn(text, "\n")] = '\0';
        *ret = strdup(text);
    }
    return well;
}

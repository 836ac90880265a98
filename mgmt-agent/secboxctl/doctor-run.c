/* SPDX-License-Identifier: MIT */
/* doctor: programs of the system, which it asks. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define TIMEOUT (20 * USEC_PER_SEC)
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

char *find_program(const char *name)
{
    const char *path = getenv("PATH");

    for (const char *dir = str_empty(path) ? PATH_DEFAULT : path; dir;) {
        const char *colon = strchr(dir, ':');
        int len = (int) (colon ? (size_t) (colon - dir) : strlen(dir));
        _cleanup_(freep) char *file = len > 0 ? str_format("%.*s/%s", len, dir, name) : NULL;

        if (file && file[0] == '/' && access(file, X_OK) == 0)
            return TAKE_PTR(file);
        dir = colon ? colon + 1 : NULL;
    }
    return NULL;
}

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

/* SPDX-License-Identifier: MIT */
/* doctor: podman and podman-compose, asked as the user that runs the containers. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define PODMAN_TIMEOUT (60 * USEC_PER_SEC)
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *search_path(void)
{
    const char *path = getenv("PATH");
    return str_empty(path) ? PATH_DEFAULT : path;
}

/* The first executable of that name in PATH: a new string or NULL. */
static char *find_program(const char *name)
{
    for (const char *dir = search_path(); dir;) {
        const char *colon = strchr(dir, ':');
        int len = (int) (colon ? (size_t) (colon - dir) : strlen(dir));
        _cleanup_(freep) char *path = len > 0 ? str_format("%.*s/%s", len, dir, name) : NULL;

        if (path && path[0] == '/' && access(path, X_OK) == 0)
            return TAKE_PTR(path);
        dir = colon ? colon + 1 : NULL;
    }
    return NULL;
}

/* Runs argv as the podman user (as ourselves when we are not root), in the environment that mgmt-agent gives it. */
static int run_as_user(Doctor *d, const char *const *argv, ProcessResult *ret, Error *err)
{
    int r = d->user.name ? 0 : podman_user_find(NULL, &d->user, err);

    if (r >= 0)
        r = podman_user_prepare(&d->user, err);
    if (r < 0)
        return r;
    const ProcessSpec spec = {
        .argv = argv,
        .env = (const char *const *) d->user.env,
        .uid = d->user.uid,
        .gid = d->user.gid,
        .drop_privileges = d->user.switch_user,
        .timeout_usec = PODMAN_TIMEOUT,
        .keep_with_parent = true,
    };
    return process_run(&spec, NULL, NULL, ret, err);
}

/* First line of a child's output, without its end. */
static void cut_line(char *text)
{
    if (text)
        text[strcspn(text, "\n")] = '\0';
}

/* Whether the child ended well; else the finding is set. */
static bool ran_well(int r, const ProcessResult *result, const Error *err, const char *what, const char *advice,
                     Finding *f)
{
    if (r < 0) {
        finding_set(f, VERDICT_UNKNOWN, advice, "%s could not be run: %s", what, error_message(err, r));
        return false;
    }
    if (!result->timed_out && WIFEXITED(result->status) && WEXITSTATUS(result->status) == 0)
        return true;
    _cleanup_(freep) char *how = process_status_string(result->status, result->timed_out);
    cut_line(result->err);
    finding_set(f, VERDICT_FAIL, advice, "%s: %s%s%s", what, how ? how : "failed", str_empty(result->err) ? "" : ": ",
                result->err ? result->err : "");
    return false;
}

void check_podman(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *podman = find_program("podman");
    _cleanup_(process_result_done) ProcessResult result = {};
    _cleanup_(error_done) Error err = {};

    if (!podman) {
        finding_set(f, VERDICT_FAIL, "Run `apt-get install podman`.", "podman is not installed");
        return;
    }
    const char *const argv[] = { podman, "info", "--format", "{{.Version.Version}} {{.Store.GraphRoot}}", NULL };
    int r = run_as_user(d, argv, &result, &err);
    if (!ran_well(r, &result, &err, "podman info",
                  "Run `podman info` as the podman user; `loginctl enable-linger USER` gives it a runtime folder.", f))
        return;

    cut_line(result.out);
    char *space = result.out ? strchr(result.out, ' ') : NULL;
    if (!space || space[1] != '/') {
        finding_set(f, VERDICT_UNKNOWN, "Run `podman info` as the podman user and read what it says.",
                    "podman's answer cannot be read: %s", result.out ? result.out : "");
        return;
    }
    *space = '\0';
    d->graph_root = strdup(space + 1);
    finding_pass(f, "podman %s answers as user %s", result.out, d->user.name ? d->user.name : "of this process");
}

/* The number behind the word "version" on the line about podman-compose, which calls itself "podman-composer" in some
 * releases and puts a colon in others; or NULL. */
static const char *compose_version(char *out)
{
    char *line = out ? strstr(out, "podman-compose") : NULL;
    char *at = line ? strstr(line, "version") : NULL;

    if (!at || memchr(line, '\n', (size_t) (at - line)))
        return NULL;
    at += strlen("version");
    at += strspn(at, ": ");
    at[strspn(at, "0123456789.")] = '\0';
    return *at ? at : NULL;
}

void check_podman_compose(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *program = find_program("podman-compose");
    _cleanup_(process_result_done) ProcessResult result = {};
    _cleanup_(error_done) Error err = {};

    if (!program) {
        finding_set(f, VERDICT_FAIL, "Run `apt-get install podman-compose`.", "podman-compose is not installed");
        return;
    }
    const char *const argv[] = { program, "--version", NULL };
    int r = run_as_user(d, argv, &result, &err);
    if (!ran_well(r, &result, &err, "podman-compose --version", "Run `podman-compose --version` as the podman user.",
                  f))
        return;

    const char *version = compose_version(result.out);
    const cJSON *told = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "podmanCompose") : NULL;
    const char *strategy = cJSON_IsObject(told) ? json_string(told, "strategy") : NULL;
    if (!version)
        finding_set(f, VERDICT_UNKNOWN, "Run `podman-compose --version` and read what it says.",
                    "podman-compose does not tell its version");
    else
        finding_pass(f, "podman-compose %s, strategy %s", version, strategy ? strategy : "chosen when mgmt-agent runs");
}

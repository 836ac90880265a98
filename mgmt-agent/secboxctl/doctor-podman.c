/* SPDX-License-Identifier: MIT */
/* doctor: podman and podman-compose, asked as the user that runs the containers. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

/* A box under load answers within a few seconds. One that hangs is not waited for twice. */
#define PODMAN_TIMEOUT (20 * USEC_PER_SEC)
/* after mgmt-agent has waited for it in vain */
#define PODMAN_TIMEOUT_AGAIN (5 * USEC_PER_SEC)
#define ARGS_MAX 8
#define KILL_AFTER (2 * USEC_PER_SEC)

static bool agent_waited_in_vain(const Doctor *d)
{
    const cJSON *error = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "error") : NULL;
    const char *id = cJSON_IsObject(error) ? json_string(error, "id") : NULL;

    return id && str_ends(id, ".timeout");
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
        .timeout_usec = agent_waited_in_vain(d) ? PODMAN_TIMEOUT_AGAIN : PODMAN_TIMEOUT,
        .kill_after_usec = KILL_AFTER,
        .keep_with_parent = true,
    };
    return process_run(&spec, NULL, NULL, ret, err);
}

/* The last line that is an error of podman, else the last of all: before it are warnings. NULL when there is none. */
static const char *last_error(char *text)
{
    const char *found = NULL, *last = NULL;
    char *state = NULL;

    for (char *line = text ? strtok_r(text, "\n", &state) : NULL; line; line = strtok_r(NULL, "\n", &state)) {
        last = line;
        if (str_starts(line, "Error") || strstr(line, "level=error"))
            found = line;
    }
    return found ? found : last;
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
    const char *line = last_error(result->err);
    finding_set(f, VERDICT_FAIL, advice, "%s: %s%s%s", what, how ? how : "failed", line ? ": " : "", line ? line : "");
    return false;
}

/* Without its session podman would only say so at length. Whether that is it. */
static bool lacks_session(const Doctor *d, Finding *f)
{
    if (!d->user.name || !d->user.runtime_dir || access(d->user.runtime_dir, F_OK) == 0)
        return false;
    finding_set(f, VERDICT_FAIL, "See the checks `lingering` and `user-manager`.",
                "podman cannot run as %s: there is no %s", d->user.name, d->user.runtime_dir);
    return true;
}

char *says_as_user(Doctor *d, const char *const *argv)
{
    _cleanup_(process_result_done) ProcessResult result = {};

    if (run_as_user(d, argv, &result, NULL) < 0 || result.timed_out || !WIFEXITED(result.status) ||
        WEXITSTATUS(result.status) != 0)
        return NULL;
    return result.out ? TAKE_PTR(result.out) : strdup("");
}

char *podman_says(Doctor *d, const char *const *args)
{
    _cleanup_(freep) char *podman = d->podman_hangs ? NULL : find_program("podman");
    const char *argv[ARGS_MAX + 2] = { podman };

    for (size_t i = 0; args[i] && i < ARGS_MAX; i++)
        argv[i + 1] = args[i];
    return podman ? says_as_user(d, argv) : NULL;
}

char *podman_command(const Doctor *d, const char *verb, const char *const *containers)
{
    _cleanup_(strv_freep) char **words = NULL;

    for (size_t i = 0; containers[i]; i++)
        if (!text_is_shell_word(containers[i]) || strv_add(&words, containers[i]) < 0)
            return NULL;
    _cleanup_(freep) char *all = words ? strv_join(words, " ") : NULL;
    if (!d->user.name || !all)
        return NULL;
    if (d->user.uid == 0)
        return str_format("podman %s %s", verb, all);
    return str_format("runuser -u %s -- env XDG_RUNTIME_DIR=%s podman %s %s", d->user.name, d->user.runtime_dir, verb,
                      all);
}

void check_podman(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *podman = find_program("podman");
    _cleanup_(process_result_done) ProcessResult result = {};
    _cleanup_(error_done) Error err = {};

    if (!podman) {
        finding_set(f, VERDICT_FAIL, NULL, "podman is not installed");
        finding_remedy(f, "apt-get install -y podman");
        return;
    }
    if (lacks_session(d, f))
        return;
    const char *const argv[] = { podman, "info", "--format", "json", NULL };
    int r = run_as_user(d, argv, &result, &err);
    d->podman_hangs = r >= 0 && result.timed_out;
    if (d->podman_hangs) {
        finding_of_hang(d, f);
        return;
    }
    if (!ran_well(r, &result, &err, "podman info", "Run `podman info` as the podman user.", f)) {
        finding_of_podman_error(d, f);
        return;
    }

    if (result.out && str_starts(result.out, "Failed to read ")) { /* it says so there, and goes on with its defaults */
        result.out[strcspn(result.out, "\n")] = '\0';
        finding_set(f, VERDICT_FAIL, "Correct the file that it names.", "podman: %s", result.out);
        finding_of_podman_error(d, f);
        return;
    }
    d->podman_info = cJSON_Parse(result.out);
    const char *version = podman_version(d);
    if (version)
        finding_pass(f, "podman %s answers as user %s", version, d->user.name ? d->user.name : "of this process");
    else
        finding_set(f, VERDICT_UNKNOWN, "Run `podman info` as the podman user and read what it says.",
                    "podman's answer cannot be read");
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
        finding_set(f, VERDICT_FAIL, NULL, "podman-compose is not installed");
        finding_remedy(f, "apt-get install -y podman-compose");
        return;
    }
    if (d->podman_hangs) { /* it would ask podman */
        finding_set(f, VERDICT_UNKNOWN, "See the check `podman`.", "it is not asked, since podman does not answer");
        return;
    }
    if (lacks_session(d, f))
        return;
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

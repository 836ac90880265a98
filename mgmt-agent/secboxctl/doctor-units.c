/* SPDX-License-Identifier: MIT */
/* doctor: the services of the box's service manager. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/event/process.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define SYSTEMCTL "/usr/bin/systemctl"
#define SYSTEMCTL_TIMEOUT (20 * USEC_PER_SEC)
#define SSHD "/usr/sbin/sshd"

void unit_facts_done(UnitFacts *u)
{
    free(u->load);
    free(u->active);
    free(u->file);
    free(u->result);
    *u = (UnitFacts) {};
}

/* One line "Property=value". */
static void take_property(UnitFacts *u, const char *line)
{
    const struct {
        const char *name;
        char **text;
    } texts[] = { { "LoadState=", &u->load },
                  { "ActiveState=", &u->active },
                  { "UnitFileState=", &u->file },
                  { "Result=", &u->result } };
    uint64_t seconds;

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (str_starts(line, texts[i].name) && !*texts[i].text)
            *texts[i].text = strdup(line + strlen(texts[i].name));
    if (str_starts(line, "NRestarts="))
        (void) !str_to_u64(line + strlen("NRestarts="), 0, UINT64_MAX, &u->restarts);
    if (str_starts(line, "StateChangeTimestamp=@") &&
        str_to_u64(line + strlen("StateChangeTimestamp=@"), 0, UINT64_MAX / USEC_PER_SEC, &seconds) == 0)
        u->since = seconds * USEC_PER_SEC;
}

int unit_facts(const char *name, UnitFacts *ret)
{
    const char *const argv[] = { SYSTEMCTL,
                                 "show",
                                 "--timestamp=unix",
                                 "--property=LoadState,ActiveState,UnitFileState,Result,NRestarts",
                                 "--property",
                                 "StateChangeTimestamp",
                                 "--",
                                 name,
                                 NULL };
    const ProcessSpec spec = { .argv = argv, .timeout_usec = SYSTEMCTL_TIMEOUT, .keep_with_parent = true };
    _cleanup_(process_result_done) ProcessResult result = {};
    char *state = NULL;

    int r = process_run(&spec, NULL, NULL, &result, NULL);
    if (r < 0)
        return r;
    if (result.timed_out || !WIFEXITED(result.status) || WEXITSTATUS(result.status) != 0 || !result.out)
        return -EIO;
    for (char *line = strtok_r(result.out, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
        take_property(ret, line);
    return ret->load && ret->active ? 0 : -EIO;
}

static void finding_of_stopped_unit(Finding *f, const char *name, const UnitFacts *u)
{
    bool again = u->file && !str_starts(u->file, "enabled") && !str_equal(u->file, "static");
    const char *on = again ? "enable --now" : "start";

    if (str_equal(u->active, "activating"))
        finding_set(f, VERDICT_FAIL, "Its journal says why (`journalctl -u` and its name).",
                    "%s does not come up; it was started again %ju times", name, (uintmax_t) u->restarts);
    else if (str_equal(u->active, "failed"))
        finding_set(f, VERDICT_FAIL, "If it fails again, its journal says why (`journalctl -u` and its name).",
                    "%s has failed (%s)", name, u->result ? u->result : "no reason told");
    else
        finding_set(f, VERDICT_FAIL, NULL, "%s is stopped%s", name, again ? ", and does not start with the box" : "");
    f->since = u->since;
    if (str_equal(u->active, "activating"))
        return;
    if (str_equal(u->result, "start-limit-hit"))
        finding_remedy(f, "systemctl reset-failed %s && systemctl %s %s", name, on, name);
    else
        finding_remedy(f, "systemctl %s %s", on, name);
}

void finding_of_unit(Finding *f, const char *name, const UnitFacts *u)
{
    if (str_equal(u->load, "not-found")) {
        finding_set(f, VERDICT_FAIL, "Install SecBox, and what it runs on, as its README says.", "there is no unit %s",
                    name);
    } else if (str_equal(u->load, "masked")) {
        finding_set(f, VERDICT_FAIL, NULL, "%s is masked, so nothing can start it", name);
        finding_remedy(f, "systemctl unmask %s%s && systemctl enable --now %s",
                       str_equal(u->file, "masked-runtime") ? "--runtime " : "", name, name);
    } else if (!str_equal(u->load, "loaded")) {
        finding_set(f, VERDICT_FAIL,
                    "Correct its drop-ins (`systemctl cat` shows them), then `systemctl daemon-reload`.",
                    "%s cannot be loaded (%s)", name, u->load);
    } else if (!str_equal(u->active, "active")) {
        finding_of_stopped_unit(f, name, u);
    } else if (str_equal(u->file, "disabled")) {
        finding_set(f, VERDICT_FAIL, NULL, "%s runs, and would not after a reboot: it is disabled", name);
        finding_remedy(f, "systemctl enable %s", name);
    } else {
        finding_pass(f, "%s runs", name);
    }
}

static void check_unit(const char *name, Finding *f)
{
    _cleanup_(unit_facts_done) UnitFacts u = {};

    if (unit_facts(name, &u) < 0)
        finding_set(f, VERDICT_UNKNOWN, "See `systemctl status` and `systemctl is-system-running`.",
                    "the service manager does not tell about %s", name);
    else
        finding_of_unit(f, name, &u);
}

void check_link_unit(Doctor *d, Finding *f)
{
    (void) d;
    check_unit("mgmt-link", f);
}

void check_recovery_unit(Doctor *d, Finding *f)
{
    /* They do for it what it has no right to, and systemd leaves one that has failed as it is. */
    static const char *const paths[] = { "recovery-sshd-restart.path", "recovery-reboot.path", "secbox-principals.path",
                                         "recovery-agent-keep.path", "recovery-agent-back.path" };

    (void) d;
    check_unit("recovery-agent", f);
    for (size_t i = 0; i < ELEMENTSOF(paths) && f->verdict == VERDICT_PASS; i++) {
        _cleanup_(unit_facts_done) UnitFacts u = {};
        if (unit_facts(paths[i], &u) < 0 || !str_equal(u.load, "loaded") || !str_equal(u.active, "active"))
            check_unit(paths[i], f);
    }
}

void check_recovery_sshd(Doctor *d, Finding *f)
{
    (void) d;
    check_unit("secbox-recovery-sshd", f);
}

void check_journal(Doctor *d, Finding *f)
{
    (void) d;
    check_unit("systemd-journald", f);
}

/* The place that sshd names: "FILE: line 3: …" or "FILE line 3: …". Whether there is one. */
static bool place_of(const char *message, char **ret_file, uint64_t *ret_line)
{
    const char *at = strstr(message, " line ");
    size_t digits = at ? strspn(at + strlen(" line "), "0123456789") : 0;

    if (message[0] != '/' || digits == 0)
        return false;
    _cleanup_(freep) char *number = strndup(at + strlen(" line "), digits);
    size_t len = (size_t) (at - message);
    *ret_file = strndup(message, len > 0 && message[len - 1] == ':' ? len - 1 : len);
    return *ret_file && number && text_is_shell_word(*ret_file) && str_to_u64(number, 1, 1000000, ret_line) == 0;
}

/* What sshd says against its own configuration; whether it does. */
static bool sshd_config_is_bad(Finding *f)
{
    const char *const argv[] = { SSHD, "-t", NULL };
    _cleanup_(freep) char *said = NULL, *file = NULL;
    uint64_t line = 0;

    if (access(SSHD, X_OK) < 0 || run_quietly(argv, &said) || str_empty(said))
        return false;
    if (strstr(said, "rivilege separation")) /* its folder in /run, which the unit makes */
        return false;
    finding_set(f, VERDICT_FAIL, "Then nobody new gets in by ssh once it is started anew.",
                "sshd refuses its configuration: %s", said);
    if (strstr(said, "no hostkeys available")) {
        finding_since_file(f, "/etc/ssh");
        finding_remedy(f, "ssh-keygen -A && systemctl restart ssh");
    } else if (place_of(said, &file, &line)) {
        finding_remedy(f, "sed -i '%jus/^/#/' %s && systemctl restart ssh", (uintmax_t) line, file);
        finding_since_file(f, file);
    }
    return true;
}

void check_ssh(Doctor *d, Finding *f)
{
    _cleanup_(unit_facts_done) UnitFacts by_socket = {};

    (void) d;
    if (sshd_config_is_bad(f))
        return;
    if (unit_facts("ssh.socket", &by_socket) == 0 && str_equal(by_socket.active, "active"))
        finding_pass(f, "ssh.socket listens");
    else
        check_unit("ssh", f);
}
